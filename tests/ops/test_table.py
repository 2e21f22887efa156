"""The op table is complete: every declared op has a test case, and every case names a declared op."""

from tests.all_cases import CASES
from tinygrad_edu.primitive import Composite, Primitive, registry


def test_cases_and_registry_name_the_same_ops():
    import tinygrad_edu.nn.functional  # noqa: F401 - declares nothing by itself, but must not declare behind our back

    named = {case.name for case in CASES}
    assert named - set(registry) == set(), "cases for ops that do not exist"
    assert set(registry) - named == set(), "ops without a test case"


def test_every_op_is_documented():
    undocumented = [name for name, op in registry.items() if not (op.__doc__ or "").strip()]
    assert undocumented == []


def test_every_floating_primitive_has_a_rule_or_says_why_not():
    without = {name for name, op in registry.items() if isinstance(op, Primitive) and not op.rules}
    checked = {case.name for case in CASES if case.order >= 1}
    assert without & checked == set(), "cases ask for derivatives of ops without rules"


def test_composites_and_primitives_cover_the_registry():
    assert all(isinstance(op, Primitive | Composite) for op in registry.values())
