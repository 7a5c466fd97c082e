"""Receipts go to whoever collects them, and to nobody else."""

import contextvars
import threading
from collections.abc import Callable

from etl_runner.lineage import collecting, note_written


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_what_is_noted_outside_of_a_collection_goes_nowhere() -> None:
    note_written(0)
    with collecting(all_threads=True) as receipts:
        pass
    in_a_thread(lambda: note_written(1))

    assert receipts == []


def test_nested_collections_do_not_see_each_other() -> None:
    with collecting(all_threads=True) as outer:
        note_written(1)
        with collecting() as inner:
            note_written(2)
        note_written(3)

    assert (outer, inner) == ([1, 3], [2])


def test_a_collection_for_all_threads_has_what_other_threads_note() -> None:
    with collecting(all_threads=True) as receipts:
        in_a_thread(lambda: note_written("other"))
        note_written("own")

    assert receipts == ["other", "own"]


def test_a_thread_that_collects_itself_keeps_its_own() -> None:
    own: list[list[object]] = []

    def work() -> None:
        with collecting() as receipts:
            note_written("inside")
        own.append(receipts)
        note_written("behind")

    with collecting(all_threads=True) as around:
        in_a_thread(work)

    assert (own, around) == ([["inside"]], ["behind"])


def test_work_side_by_side_hands_its_context_on() -> None:
    with collecting() as receipts:
        in_a_thread(lambda: note_written("lost"))
        context = contextvars.copy_context()
        in_a_thread(lambda: context.run(note_written, "kept"))

    assert receipts == ["kept"]
