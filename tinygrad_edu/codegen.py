"""Writing the two functions of an op: one that records it, one that runs its derivative rules on arrays.

A generic wrapper would loop over arguments, pack tuples and look rules up by name; on an eight-element array that costs several
times the arithmetic. So each op gets two plain functions of fixed arity, written from its declaration when it is first used and
printable with ``tg.mul.source()``: what you read there is what runs.
"""

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from tinygrad_edu.array_rules import hands_on, makes_new, reads_of
from tinygrad_edu.expressions import written_out
from tinygrad_edu.grad_mode import disabled

if TYPE_CHECKING:
    from tinygrad_edu.primitive import Primitive

__all__ = ["build_pull", "guarded", "pull_source", "record_source", "stub"]


def stub(op: "Primitive") -> Callable:
    """Return the op's public function; its body is written at the first call, the function object stays the same."""
    from tinygrad_edu.primitive import public_signature

    world: dict[str, Any] = {"OP": op, "__name__": f"tinygrad_edu.{op.name}", "build": build_record}

    def first_call(*args, **kwargs):
        return build(OP)(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821 - found in `world`

    function: Any = FunctionType(first_call.__code__, world, op.name)
    function.op, function.source = op, op.source
    function.derivative, function.derivative_on_arrays = op.derivative, op.derivative_on_arrays
    function.__doc__, function.__qualname__ = op.__doc__, op.name
    function.__module__ = op.forward.__module__
    function.__signature__ = public_signature(op)
    return function


def build_record(op: "Primitive") -> Callable:
    """Write the recording function and put its code into the op's public function."""
    from tinygrad_edu import primitive as p
    from tinygrad_edu.operands import constants

    function: Any = op.function
    world = function.__globals__
    world.update(
        Tensor=p.Tensor, Node=p.Node, new=object.__new__, tick=p.tick, mode=p.mode, disabled=disabled, observers=p.observers, notify=p.notify,
        constant=p.constant, constants=constants, promoted=p.promoted,
        as_float=p.as_float, track_view=p.track_view, ndarray=p.np.ndarray, forward=op.forward,
    )  # fmt: skip
    made = _compile(op, record_source(op), dict(world), op.name)
    function.__defaults__, function.__kwdefaults__ = made.__defaults__, made.__kwdefaults__
    function.__code__ = made.__code__
    return function


def build_pull(op: "Primitive") -> Callable:
    """Write the function that runs the op's rules on arrays."""
    from numpy import ndarray

    from tinygrad_edu import engine
    from tinygrad_edu.primitive import on_arrays, registry

    world = {"accumulate": engine.accumulate, "ndarray": ndarray, "sum_to": registry["sum_to"].forward}
    if op.together is not None:
        world["together"] = op.together
    for name, rule in op.rules.items():
        world[f"d_{name}"] = on_arrays(rule)
    return _compile(op, pull_source(op), world, "pull")


def _compile(op: "Primitive", source: str, world: dict[str, Any], name: str) -> Any:
    exec(compile(source, f"<tinygrad_edu {op.name}>", "exec"), world)
    return world[name]


# ---- composites -------------------------------------------------------------------------------------------------------------
def guarded(function: Callable) -> Callable:
    """Return a composite that, called with something that is no Tensor, says which argument it was.

    Like an op's function it is written at the first call: of the same signature, so that the detour costs next to nothing.
    """
    from functools import wraps

    @wraps(function)
    def outer(*arguments, **keywords):
        made = build_guard(function)
        outer.__defaults__, outer.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
        outer.__code__ = made.__code__
        return outer(*arguments, **keywords)

    return outer


def build_guard(function: Callable) -> Any:
    """Write the guard; its two free variables are those of `outer`, in the same order, so that the code can take its place."""
    from inspect import signature

    heads: list[str] = []
    call: list[str] = []
    for p in signature(function).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not any(head.startswith("*") for head in heads):
            heads.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")  # type: ignore[call-overload]
        heads.append(stars + p.name + ("" if p.default is p.empty else "=None"))
        call.append(f"{p.name}={p.name}" if p.kind is p.KEYWORD_ONLY else stars + p.name)
    name = function.__name__
    source = f"""
def make(function, outer):
    def {name}({", ".join(heads)}):
        try:
            return function({", ".join(call)})
        except AttributeError as error:
            from tinygrad_edu.primitive import misuse
            raise misuse(outer, error, locals()) from None
    return {name}
"""
    world: dict[str, Any] = {}
    exec(compile(source, f"<tinygrad_edu {name}>", "exec"), world)
    return world["make"](function, None)


# ---- recording --------------------------------------------------------------------------------------------------------------
def _head(op: "Primitive") -> list[str]:
    from inspect import Parameter

    def written(name: str, default: Any) -> str:
        return name if default is Parameter.empty else f"{name}=DEFAULTS[{name!r}]"

    positional = len(op.parameters) - op.declared.__code__.co_kwonlyargcount
    entries = [f"{n}=None" if a in op.optional else n for n, a in zip(op.public_names, op.arguments, strict=True)]
    for position, (name, default) in enumerate(op.parameters.items()):
        if position == positional:
            entries.append("*")
        entries.append(written(name, default))
    return [f"DEFAULTS = OP.parameters\ndef {op.name}({', '.join(entries)}):"]


def record_source(op: "Primitive") -> str:
    """Return the source of the function that executes the op and records it."""
    if op.variadic:
        from tinygrad_edu.primitive import public_signature

        names = list(op.parameters)
        passed = ", ".join(f"{n!r}: {n}" for n in names)
        heads = ", ".join(str(e) for e in public_signature(op).parameters.values())
        return f"def {op.name}({heads}):\n    return OP.call_many(tensors, {{{passed}}})\n"
    publics, own = op.public_names, op.arguments
    data = {a: f"{a}_data" for a in own}
    lines = _head(op)
    put = lines.append
    parameters = "{" + ", ".join(f"{n!r}: {n}" for n in op.parameters) + "}"
    arguments = f"({', '.join(publics)},)"
    put("    try:")
    scalars = op.elementwise and len(own) == 2 == len(op.mixes)
    if scalars:
        first, second = publics
        x, y = data[own[0]], data[own[1]]
        put(f"        {x} = {first}._data")
        if own[1] in op.numbers:
            put(f"        kind = {second}.__class__")
            put("        if kind is float or kind is int:")
            put(
                f"            like = {x}"
                + (f" if {x}.dtype.kind == 'f' else as_float({first})._data" if op.float_result else "")
            )
            put(f"            known = constants.get(({second}, kind, like.__class__, like.dtype))")
            put(f"            {second} = constant({second}, like) if known is None else known")
        put(f"        {y} = {second}._data")
        put(f"        kind = {x}.__class__")
        # two NumPy numbers of one class have one dtype and no shapes to compare
        put(f"        if kind is ndarray or kind is not {y}.__class__:")
        put(f"            if {x}.dtype is not {y}.dtype:")
        if op.before_mixing is not None:
            put(f"                OP.before_mixing({x}, {y})")
        put(f"                {first}, {second} = promoted({first}, {second})")
        put(f"                {x} = {first}._data; {y} = {second}._data")
        put(f"            shapes = ({x}.shape, {y}.shape)")
        put("            if shapes[0] == shapes[1]: shapes = None")
        put("        else: shapes = None")
    else:
        for public, a in zip(publics, own, strict=True):
            optional = f"None if {public} is None else " if a in op.optional else ""
            put(f"        {data[a]} = {optional}{public}._data")
        if len(op.mixes) > 1:
            mixed = " is ".join(f"{data[a]}.dtype" for a in op.mixes)
            mixing = ", ".join(public for public, a in zip(publics, own, strict=True) if a in op.mixes)
            put(f"        if not ({mixed}):")
            put(f"            {mixing} = promoted({mixing})")
            put("            " + "; ".join(f"{data[a]} = {publics[own.index(a)]}._data" for a in op.mixes))
    if op.view:  # a NumPy number has no memory to share: give it some
        put(f"        if {data[own[0]]}.__class__ is not ndarray: {data[own[0]]} = {publics[0]}.array()")
    if op.float_result:
        test = " and ".join(f"{data[a]}.dtype.kind == 'f'" for a in own)
        put(f"        if not ({test}):")
        for public, a in zip(publics, own, strict=True):
            put(f"            {public} = as_float({public}); {data[a]} = {public}._data")
    put(f"        result = {_formula(op, data)}")
    put("    except AttributeError as error:")
    put(f"        return OP.retry({arguments}, {parameters}, error)")
    put("    except ValueError as error:")
    put(f"        raise OP.explain(error, {arguments}, {parameters}) from None")
    put("    out = new(Tensor); out._data = result; out._base = None")
    lines += _recording(op, data, shapes_known=scalars)
    if op.view:
        put(f"    track_view(out, {publics[0]})")
    put(f"    if observers: notify(OP, {arguments}, {parameters}, out)")
    put("    return out")
    return "\n".join(lines) + "\n"


def _formula(op: "Primitive", data: dict[str, str]) -> str:
    """What computes the result: the op's own formula, or a call of its function where that is more than a formula."""
    if op.forward is op.declared:
        formula = written_out(op.declared, data | {n: n for n in op.parameters})
        if formula is not None:
            return formula
    call = [data[a] for a in op.arguments] + [
        n if i < _positional(op) else f"{n}={n}" for i, n in enumerate(op.parameters)
    ]
    return f"forward({', '.join(call)})"


def _positional(op: "Primitive") -> int:
    return len(op.parameters) - op.declared.__code__.co_kwonlyargcount


def _recording(op: "Primitive", data: dict[str, str], shapes_known: bool) -> list[str]:
    """The lines that make the graph node, when a gradient is wanted by anybody."""
    if not op.rules:
        return ["    out.node = None"]
    lines = []
    public = dict(zip(op.arguments, op.public_names, strict=True))
    for a in op.rules:
        optional = f"None if {public[a]} is None else " if a in op.optional else ""
        lines.append(f"    {a}_node = {optional}{public[a]}.node")
    wanted = " or ".join(f"{a}_node is not None" for a in op.rules)
    lines.append(f"    if ({wanted}) and (not disabled or mode.enabled):")
    lines.append("        out.node = node = Node()")
    lines.append(f"        node.op = OP; node.parents = ({', '.join(f'{a}_node' for a in op.rules)},)")
    lines.append(f"        node.saved = ({''.join(_saved(op, name, data) + ', ' for name in op.reads)})")
    if shapes_known:
        lines.append("        node.shapes = shapes")
    elif op.elementwise and len(op.arguments) > 1:
        shapes = [f"{data[a]}.shape" for a in op.arguments]
        lines.append(f"        shapes = ({', '.join(shapes)})")
        same = " == ".join(f"shapes[{i}]" for i in range(len(shapes)))
        lines.append(f"        node.shapes = None if {same} else shapes")
    else:
        lines.append("        node.shapes = None")
    lines.append("        node.grad = node.mark = node.hooks = None; node.owned = False")
    lines.append("        node.number = tick()")
    lines.append("    else:")
    lines.append("        out.node = None")
    return lines


def _saved(op: "Primitive", name: str, data: dict[str, str]) -> str:
    if name == "out":
        return "result"
    if name in op.parameters:
        return name
    for a in op.arguments:
        if name == f"{a}_shape":
            return f"(None if {data[a]} is None else {data[a]}.shape)" if a in op.optional else f"{data[a]}.shape"
        if name == f"{a}_dtype":
            return f"{data[a]}.dtype"
    readers = [a for a, rule in op.rules.items() if name in reads_of(rule)]
    if op.together is not None or len(op.rules) == 1 or len(readers) == len(op.rules):
        return data[name]
    # An argument that only the rules of constants would read is not kept alive.
    return f"({data[name]} if {' or '.join(f'{a}_node is not None' for a in readers)} else None)"


# ---- running the rules ------------------------------------------------------------------------------------------------------
def pull_source(op: "Primitive") -> str:
    """Return the source of the function that hands a node's gradient on to its parents."""
    lines = ["def pull(node, g):"]
    put = lines.append
    if op.reads:
        put(f"    {''.join(name + ', ' for name in op.reads)}= node.saved")
    if op.variadic:
        put(f"    parts = d_tensors(g, {', '.join(reads_of(op.rules['tensors']))})")
        put("    for parent, part in zip(node.parents, parts):")
        put("        if parent is not None and parent.mark is node.mark and part is not None:")
        lines += _give("parent", "part", "            ")
        return "\n".join(lines) + "\n"
    if op.rules:
        put(f"    {''.join(f'{a}_node, ' for a in op.rules)}= node.parents")
        put("    mark = node.mark")
    live = {a: f"{a}_node is not None and {a}_node.mark is mark" for a in op.rules}
    if op.together is not None:
        for a, test in live.items():
            put(f"    {a}_live = {test}")
        live = {a: f"{a}_live" for a in op.rules}
        put(f"    needs = ({''.join(f'{test}, ' for test in live.values())})")
        put(f"    {''.join(f'{a}_part, ' for a in op.rules)}= together(g, needs, {', '.join(op.together_reads)})")
    mixed = op.elementwise and len(op.arguments) > 1
    if mixed:
        put("    shapes = node.shapes")
    for a, rule in op.rules.items():
        put(f"    if {live[a]}:")
        if op.together is not None:
            lines += _give(f"{a}_node", f"{a}_part", "        ", op.fresh)
            continue
        reads = ("g", *reads_of(rule))
        formula = written_out(rule, {n: n for n in reads})
        put(f"        part = {formula or f'd_{a}(' + ', '.join(reads) + ')'}")
        if mixed:
            position = op.arguments.index(a)
            put(f"        if shapes is not None and part.shape != shapes[{position}]:")
            put(f"            part = sum_to(part, shapes[{position}])")
        lines += _give(f"{a}_node", "part", "        ", makes_new(rule), hands_on(rule))
    return "\n".join(lines) + "\n"


def _give(parent: str, part: str, indent: str, fresh: bool = False, handed_on: bool = False) -> list[str]:
    """The lines that add a rule's result to a parent's gradient; what the rule made is the parent's own."""
    if fresh:
        owned = [f"{indent}if before is None: {parent}.grad = {part}; {parent}.owned = True"]
    else:  # it may be the gradient itself, or a view of it
        owned = [
            f"{indent}if before is None:",
            f"{indent}    {parent}.grad = {part}; base = {part}.base",
            f"{indent}    {parent}.owned = {part} is not g and (base is None or (base is not g and base is not g.base))",
        ]
        if handed_on:
            owned = [f"{indent}if before is None: {parent}.grad = {part}; {parent}.owned = part is not g"]
    return [
        f"{indent}before = {parent}.grad",
        *owned,
        f"{indent}elif before.__class__ is ndarray: accumulate({parent}, before, {part})",
        f"{indent}else: {parent}.grad = before + {part}",
    ]
