"""The parts of PyTorch that are left out on purpose, and why; everything else that lacks is simply missing."""

__all__ = ["LEFT_OUT", "reason_to_leave_out"]

# The first pattern that is the name itself, or the beginning of it up to a dot, counts.
LEFT_OUT = {
    "several machines or processes": (
        "torch.distributed", "torch.nn.parallel", "torch.multiprocessing", "torch.futures", "torch.utils.data.distributed",
        "torch.utils.data.DistributedSampler", "share_memory", "torch.rpc",
    ),
    "graphs are run as they are built, there is no compiler or exporter": (
        "torch.fx", "torch.jit", "torch.export", "torch.onnx", "torch._dynamo", "torch._inductor", "torch._logging",
        "torch.compiler", "torch.package", "torch._export", "torch.cond",
    ),
    "PyTorch's own inner parts": (
        "torch.ops", "torch.classes", "torch.library", "torch._C", "torch.utils.cpp_extension", "torch._check",
        "torch._foreach_copy_", "torch._register_device_module", "torch.overrides", "torch.utils._pytree", "torch._subclasses",
        "torch.utils._python_dispatch", "torch._utils", "torch._prims", "torch._higher_order_ops", "torch.torch_version",
        "torch.utils._mode_utils", "torch._custom_op", "torch.utils._triton", "torch.__future__",
        "torch.utils._content_store", "torch._decomp", "torch._functorch",
    ),
    "NumPy has no such element type, and no other memory order is kept": (
        "torch.bfloat16", "bfloat16", "torch.channels_last", "torch.contiguous_format",
    ),
    "its event files are written by another program": ("torch.utils.tensorboard",),
    "quantized numbers": ("torch.quantization", "torch.ao", "torch.nn.quantized", "torch.nn.qat", "torch.nn.intrinsic"),
    "Python's own profilers show the NumPy calls": (
        "torch.utils.bottleneck", "torch.utils.benchmark",
    ),
    "there is no GPU here": (
        "torch.cuda.Event", "torch.cuda.Stream", "torch.cuda.stream", "torch.cuda.current_stream", "torch.cuda.memory",
        "torch.cuda.nccl", "torch.cuda._sleep", "torch.cuda.FloatTensor", "torch.cuda.LongTensor", "torch.cuda.ByteTensor",
        "torch.cuda.get_device_capability", "torch.cuda.get_device_name", "torch.cuda.get_device_properties",
        "torch.cuda.mem_get_info", "torch.cuda.CUDAGraph", "torch.cuda.graph", "torch.cuda.device",
        "torch.cuda.reset_max_memory_allocated", "torch.mps", "torch.xpu",
        "torch.version.cuda", "torch.version.hip", "torch.utils.dlpack",
    ),
    "complex numbers are not supported": (
        "torch.complex", "torch.view_as_complex", "torch.view_as_real", "torch.conj", "torch.fft", "torch.stft",
        "torch.linalg.eig", "torch.polar", "stft",
    ),
    "sparse, nested and named tensors are not supported": (
        "torch.sparse_coo_tensor", "torch.sparse", "torch.nested", "torch.jagged", "to_sparse", "to_dense", "indices",
        "values", "to_padded_tensor", "torch.masked",
    ),
    "it downloads and runs other people's code or weights": ("torch.hub", "torchvision.models"),
    "a list's or string's method that the census took for a tensor's": ("index", "reinforce", "mode", "split", "name"),
}  # fmt: skip


def reason_to_leave_out(name: str) -> str:
    """Return why `name` is left out on purpose, or an empty string."""
    for reason, patterns in LEFT_OUT.items():
        if any(name == pattern or name.startswith(pattern + ".") for pattern in patterns):
            return reason
    return ""
