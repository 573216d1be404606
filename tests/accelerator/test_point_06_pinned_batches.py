"""A set that does not fit the card is gathered in a thread, and copied from pinned memory."""

import threading

import torch

from tests.accelerator.test_point_05_crops_ahead import loader

CUDA = torch.device("cuda")


def test_point_06_batches_are_pinned_in_another_thread_and_copied_asynchronously(card):
    card.free_bytes = 1000
    ours = loader(CUDA)
    assert "stay on the host" in ours.notes[0]
    card.copies.clear()
    batches = list(ours.epoch(0, 8, 12)) + list(ours.validation(16))
    assert len(batches) == 5 + 3
    assert len(card.copies) == 5 * 3 + 3 * 2  # images, labels, and crops to train on
    assert all(copy.pinned and copy.non_blocking for copy in card.copies)
    assert threading.get_ident() not in {copy.pinned_in for copy in card.copies}


def test_point_06_the_batches_are_the_same_as_those_of_a_set_on_the_card(card):
    there = loader(CUDA)
    card.free_bytes = 1000
    here = loader(CUDA)
    assert (there.notes == (), here.notes == ()) == (True, False)
    for epoch in (0, 1):
        pairs = zip(there.epoch(epoch, 8, 12, 1), here.epoch(epoch, 8, 12, 1), strict=True)
        for one, other in pairs:
            assert all(map(torch.equal, one, other))
    for one, other in zip(there.validation(16), here.validation(16), strict=True):
        assert all(map(torch.equal, one, other))


def test_point_06_the_thread_uses_the_processs_card(card):
    card.cards, card.free_bytes, card.current = 4, 1000, 2
    ours = loader(CUDA)
    card.current = 0
    next(ours.epoch(0, 8, 12))
    assert card.current == 2  # the stand-in has one current card for all threads


def test_point_06_an_abandoned_epoch_does_not_affect_the_next(card):
    card.free_bytes = 1000
    ours = loader(CUDA)
    next(ours.epoch(0, 8, 12))
    labels = [labels for _, labels in ours.epoch(1, 8, 12)]
    expected = [labels for _, labels in loader(CUDA).epoch(1, 8, 12)]
    assert all(map(torch.equal, labels, expected))
