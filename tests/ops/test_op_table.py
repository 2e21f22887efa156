"""The committed table of ops says what the registry and the cases say."""

from tests.write_op_table import TABLE, table


def test_the_committed_table_of_ops_is_fresh():
    assert TABLE.read_text(encoding="utf-8") == table(), "run python -m tests.write_op_table"
