"""Hooks around state_dict and load_state_dict: the same calls, in the same order and with the same effects, as in PyTorch."""

import pytest

import tinygrad_edu as tg

torch = pytest.importorskip("torch")


def network(lib):
    return lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.Sequential(lib.nn.Linear(2, 1, bias=False)))


def test_they_are_called_alike():
    calls = {tg: [], torch: []}
    for lib, seen in calls.items():
        model = network(lib)
        for path, module in model.named_modules():
            module.register_state_dict_pre_hook(
                lambda m, prefix, keep, seen=seen, path=path: seen.append(("pre", path, prefix, keep))
            )
            module.register_state_dict_post_hook(
                lambda m, state, prefix, data, seen=seen, path=path: seen.append(("post", path, prefix, sorted(state)))
            )
            module.register_load_state_dict_pre_hook(
                lambda m, state, prefix, data, strict, *lists, seen=seen, path=path: seen.append(
                    ("load", path, prefix, strict, lists)
                )
            )
            module.register_load_state_dict_post_hook(
                lambda m, keys, seen=seen, path=path: seen.append(
                    ("loaded", path, type(m).__name__, len(keys.missing_keys))
                )
            )
        state = model.state_dict()
        model.state_dict(prefix="net.", keep_vars=True)
        model.load_state_dict(state)
        del state["1.0.weight"]
        model.load_state_dict(state, strict=False)
    by_path = lambda call: (call[0], call[1], *call[2:3])  # noqa: E731 - what is known when differs by the walk
    assert sorted(map(by_path, calls[tg]), key=str) == sorted(map(by_path, calls[torch]), key=str)
    for moment in ("pre", "load"):
        assert [c for c in calls[tg] if c[0] == moment] == [c for c in calls[torch] if c[0] == moment]
    for moment in ("post", "loaded"):  # those of the parts come before those of the whole
        assert [c[1] for c in calls[tg] if c[0] == moment] == [c[1] for c in calls[torch] if c[0] == moment]


def test_they_change_what_is_saved_and_loaded():
    for lib in (tg, torch):
        model = network(lib)

        def rename(module, state, prefix, *_):
            for key in [k for k in state if k.startswith(f"{prefix}old_")]:
                state[prefix + key.removeprefix(f"{prefix}old_")] = state.pop(key)

        handle = model[0].register_load_state_dict_pre_hook(rename)
        old = {"0.old_weight": lib.ones(2, 2), "0.bias": lib.zeros(2), "1.0.weight": lib.ones(1, 2)}
        assert str(model.load_state_dict(old)) == "<All keys matched successfully>"
        assert model[0].weight.tolist() == [[1.0, 1.0], [1.0, 1.0]] and "0.old_weight" in old
        handle.remove()
        with pytest.raises(RuntimeError, match=r"0\.old_weight"):
            model.load_state_dict(old)
        model.register_state_dict_post_hook(lambda m, state, prefix, data: state.__delitem__(f"{prefix}0.bias"))
        assert list(model.state_dict()) == ["0.weight", "1.0.weight"]
        with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: .0\.bias."):
            model.load_state_dict(model.state_dict())
        model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
        assert str(model.load_state_dict(model.state_dict())) == "<All keys matched successfully>"


def test_mistakes_in_hooks():
    for lib in (tg, torch):
        model = network(lib)
        handle = model.register_state_dict_post_hook(lambda m, state, prefix, data: {})
        with pytest.raises(RuntimeError, match="must return None"):
            model.state_dict()
        handle.remove()
        model.register_load_state_dict_post_hook(lambda m, keys: keys)
        with pytest.raises(AssertionError, match="not expected to return new values"):
            model.load_state_dict(model.state_dict())
        other = network(lib)
        other.register_load_state_dict_pre_hook(lambda m, state, *rest: rest[-1].append("not this one"))
        with pytest.raises(RuntimeError, match="not this one"):
            other.load_state_dict(other.state_dict())


@pytest.mark.parametrize("lib", [tg, torch])
def test_older_names(lib):
    model, seen = network(lib), []
    model._register_state_dict_hook(lambda m, state, prefix, data: state.update(extra=lib.ones(1)))
    model._register_load_state_dict_pre_hook(lambda state, prefix, *_: seen.append(state.pop("extra").item()))
    model._register_load_state_dict_pre_hook(lambda m, state, *_: seen.append(m is model), with_module=True)
    model.load_state_dict(model.state_dict())
    assert seen == [1.0, True]
