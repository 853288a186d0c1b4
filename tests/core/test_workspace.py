"""The workspace: changes make new ones, and undo gives back exactly what was."""

from dataclasses import FrozenInstanceError, replace

import pytest

from core.spec.errors import Error
from core.spec.interventions import Ablate, Clamp
from core.spec.request import ModelRef, ask
from core.spec.workspace import MAX_CLAMPS, MAX_HISTORY, TrayItem, Workspace


def _item(neuron: int, on: bool = True) -> TrayItem:
    return TrayItem(Clamp(f"L0.neuron[{neuron}]", 1.0), on=on)  # type: ignore[arg-type]


def test_a_workspace_cannot_be_edited_in_place():
    with pytest.raises(FrozenInstanceError):
        Workspace().prompt = "x"  # type: ignore[misc]


def test_active_leaves_out_what_is_switched_off_and_keeps_the_order():
    tray = (_item(3), _item(1, on=False), TrayItem(Ablate("L1.head[0]")), _item(2))  # type: ignore[arg-type]
    work = Workspace(tray=tray)
    assert [str(change.site) for change in work.active()] == [
        "L0.neuron[3]", "L1.head[0]", "L0.neuron[2]",
    ]  # fmt: skip


def test_undo_restores_the_exact_question():
    """Removing a clamp again asks the same question, so the store has its answer."""
    before = Workspace()
    after = before.with_tray((_item(3),))
    keys = [
        ask("lens", ModelRef("embedded"), w.prompt, interventions=w.active()).key()
        for w in (before, after, after.undo(), after.with_tray(()))
    ]
    assert keys[0] == keys[2] == keys[3] != keys[1]


def test_undo_and_redo_walk_through_trays():
    work = Workspace()
    for n in range(3):
        work = work.with_tray((*work.tray, _item(n)))
    assert [len(w.tray) for w in (work, work.undo(), work.undo().undo())] == [3, 2, 1]
    assert work.undo().undo().redo().redo() == work
    assert work.redo() == work
    assert Workspace().undo() == Workspace()


def test_a_new_change_after_undo_ends_the_redo_branch():
    work = Workspace().with_tray((_item(1),)).undo().with_tray((_item(2),))
    assert work.redo().tray == (_item(2),)


def test_the_same_tray_is_no_step():
    work = Workspace().with_tray((_item(1),))
    assert work.with_tray((_item(1),)) is work


def test_history_is_bounded():
    work = Workspace()
    for n in range(MAX_HISTORY + 20):
        work = work.with_tray((_item(n),))
    assert len(work.past) == MAX_HISTORY


def test_a_full_tray_says_so():
    tray = tuple(_item(n) for n in range(MAX_CLAMPS))
    work = Workspace().with_tray(tray)
    with pytest.raises(Error, match="remove one first"):
        work.with_tray((*tray, _item(99)))


def test_history_does_not_make_two_workspaces_differ():
    assert Workspace().with_tray((_item(1),)).undo() == Workspace()


def test_undo_keeps_what_is_not_the_tray():
    work = replace(Workspace().with_tray((_item(1),)), prompt="another text")
    assert work.undo().prompt == "another text"
