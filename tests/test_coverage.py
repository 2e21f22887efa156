"""The measure of how many of PyTorch's names exist, on a census small enough to count by hand."""

import pytest

from benchmarks.coverage import Name, exists, find, main, read_census, report

CENSUS = """
# A census

## torch.*  (functions)

4 names, 1,000 uses, 100 files.

| # | name | files | repos | uses | cum uses % |
|--:|:--|--:|--:|--:|--:|
| 1 | `torch.tensor` | 60 | 3 | 700 | 70.0 |
| 2 | `torch.no_such_function` | 20 | 2 | 200 | 90.0 |

Further 2 names (files/uses): `torch.nn.functional.relu` 10/70, `torch.jit.no_such_script` 5/30

## Tensor methods and attributes (heuristic)

2 names, 10 uses, 4 files.

| # | name | files | repos | uses |
|--:|:--|--:|--:|--:|
| 1 | `backward` | 4 | 2 | 9 |
| 2 | `no_such_method` | 1 | 1 | 1 |

## Prose without a table
"""


def test_a_census_is_read_with_its_tails():
    functions, methods = read_census(CENSUS)
    assert [(n.text, n.files, n.uses) for n in functions.names] == [
        ("torch.tensor", 60, 700),
        ("torch.no_such_function", 20, 200),
        ("torch.nn.functional.relu", 10, 70),
        ("torch.jit.no_such_script", 5, 30),
    ]
    assert (functions.files, functions.uses) == (100, 1000)
    assert (methods.files, methods.uses) == (4, 10)


def test_the_shares_are_those_counted_by_hand(tmp_path, capsys):
    path = tmp_path / "census.md"
    path.write_text(CENSUS, encoding="utf-8")
    assert main([str(path)]) == 0
    printed = capsys.readouterr().out
    assert "| torch.*  (functions) | 2 of 4 | 77.0% | 75.0% to 80.0% |" in printed
    assert "| Tensor methods and attributes (heuristic) | 1 of 2 | 90.0% | 75.0% |" in printed
    assert "| all | 3 of 6 | 77.1% | |" in printed
    assert "| all but what is left out on purpose | 3 of 5 | 79.5% | |" in printed
    assert "missing (uses): `torch.no_such_function` 200\n" in printed
    assert "`torch.jit.no_such_script` 30" in printed
    assert "there is no compiler" in printed


def test_a_file_without_tables_is_refused(tmp_path, capsys):
    path = tmp_path / "notes.md"
    path.write_text("# Nothing here\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        main([str(path)])
    assert "no table of names" in capsys.readouterr().err


def test_names_are_looked_up_on_the_real_objects():
    assert exists("torch.nn.Linear", "torch.nn.*")
    assert exists("torchvision.transforms.Normalize", "torchvision.*")
    assert not exists("torchvision.models.resnet18", "torchvision.*")
    assert exists("mT", "Tensor methods")
    assert exists("state_dict", "nn.Module members called on objects (names that also exist on Tensor)")
    assert exists("get_last_lr", "Optimizer / scheduler members")
    with pytest.raises(AttributeError):
        find("tinygrad_edu.nn.no_such_layer")
    with pytest.raises(ValueError, match="neither a dotted name"):
        exists("backward", "Words")


def test_a_census_where_nothing_lacks_has_no_further_paragraphs():
    (group,) = read_census("## torch.*\n\n1 names, 5 uses, 2 files.\n\n| 1 | `torch.tensor` | 2 | 1 | 5 | 100 |\n")
    group.names = [Name("torch.tensor", 2, 5, exists=True)]
    assert report([group]).splitlines()[2:] == [
        "| torch.* | 1 of 1 | 100.0% | 100.0% |",
        "| all | 1 of 1 | 100.0% | |",
        "| all but what is left out on purpose | 1 of 1 | 100.0% | |",
    ]
