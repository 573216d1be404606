"""Short run ids: each names its run and no other, and an ambiguous one lists the candidates."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.short_ids import short_ids
from efficiency_bench.ledger.store import matching, matching_id
from tests.ledger.factory import make_entry

PARTS = st.sampled_from(
    [
        "alexnet",
        "vgg11",
        "digits",
        "s0",
        "s1",
        "r2",
        "5d1ceabc6e",
        "5d1ceabc6f",
        "5d1c",
        "published",
    ]
)
RUN_IDS = st.sets(st.lists(PARTS, min_size=1, max_size=5).map("-".join), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("run_ids", "short"),
    [
        (["alexnet-small_2020-cifar10-s0-5d1ceabc6e"], ["s0-5d1cea"]),
        (["a-digits-s0-5d1ceabc6e", "a-digits-s12-5d1ceabc6e"], ["s0-5d1cea", "s12-5d1cea"]),
        (["a-digits-s0-r3-5d1ceabc6e"], ["s0-r3-5d1cea"]),
        # two digests that share nine digits
        (["a-digits-s0-5d1ceabc6e", "b-digits-s0-5d1ceabc6f"], ["s0-5d1ceabc6e", "s0-5d1ceabc6f"]),
        (["published-vgg11", "published-alexnet"], ["vgg11", "alexnet"]),
        (["published-vgg11", "imported-vgg11"], ["published-vgg11", "imported-vgg11"]),
    ],
)  # fmt: skip
def test_a_run_is_named_by_seed_and_digest(run_ids, short):
    assert list(short_ids(run_ids).values()) == short


@given(RUN_IDS)
@example({"vgg11-s0", "s0-vgg11-s0"})
def test_every_short_id_finds_its_run(run_ids):
    for run_id, short in short_ids(run_ids).items():
        assert matching_id(sorted(run_ids), short) == run_id
        assert len(short) <= len(run_id)


def test_a_part_is_enough_if_only_one_run_has_it():
    entries = [
        make_entry(f"{name}-digits-s0-{'0123456789'[k:]:0<10}") for k, name in enumerate("ab")
    ]
    for text in ("a", "a-dig", "s0-0123", "0123", "0123456789", entries[0].run_id):
        assert matching(entries, text) is entries[0]
    for text in ("igits", "s0-123x", "-s0", ""):
        with pytest.raises(UserError, match="unknown run id"):
            matching(entries, text)


def test_an_ambiguous_part_lists_each_candidate_on_a_line():
    run_ids = [f"resnet18-digits-s{seed}-5d1ceabc6e" for seed in range(13)]
    with pytest.raises(UserError) as refused:
        matching_id(run_ids, "resnet18")
    first, *others = str(refused.value).splitlines()
    assert first == "'resnet18' matches 13 run ids; type more of one:"
    assert [line.strip() for line in others] == [*run_ids[:10], "and 3 more"]
