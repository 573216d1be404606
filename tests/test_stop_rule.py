"""The stop rule against its words, by brute force."""

from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.records import Target
from efficiency_bench.stop_rule import first_index, sustained_index

CURVES = st.lists(st.sampled_from([0.1, 0.7899, 0.7905, 0.791, 0.9]), max_size=9)


def test_torchvisions_own_alexnet_arrives_only_within_the_tolerance():
    strict = Target(metric="top5", value=0.791)
    rounded = Target(metric="top5", value=0.791, tolerance=0.0005)
    assert not strict.met_by(0.79066)
    assert rounded.met_by(0.79066)
    assert not rounded.met_by(0.79049)


def test_a_level_that_is_a_count_of_images_is_met_by_the_same_count():
    level = sum([349 / 360, 350 / 360, 348 / 360]) / 3
    assert Target(metric="top1", value=level).met_by(349 / 360)
    assert not Target(metric="top1", value=level).met_by(348 / 360)


def test_a_fall_back_under_the_target_unconfirms():
    target = Target(metric="top1", value=0.5, confirmations=2)
    curve = [0.4, 0.6, 0.4, 0.6, 0.6, 0.6]
    assert first_index(target, curve) == 1
    assert sustained_index(target, curve, schedule_over=False) == 3
    assert sustained_index(target, curve[:5], schedule_over=False) is None
    assert sustained_index(target, curve[:5], schedule_over=True) == 3


def test_the_final_evaluation_confirms_itself():
    target = Target(metric="top1", value=0.5, confirmations=2)
    assert sustained_index(target, [0.1, 0.6], schedule_over=False) is None
    assert sustained_index(target, [0.1, 0.6], schedule_over=True) == 1


@given(curve=CURVES, confirmations=st.integers(0, 3), over=st.booleans())
def test_sustained_is_the_first_place_from_which_enough_hold(curve, confirmations, over):
    target = Target(metric="top5", value=0.791, tolerance=0.0005, confirmations=confirmations)
    holds = [a >= 0.7905 for a in curve]
    expected = None
    for i in range(len(curve)):
        window = holds[i : i + 1 + confirmations]
        if all(window) and (len(window) == 1 + confirmations or over):
            expected = i
            break
    assert sustained_index(target, curve, over) == expected


@given(curve=CURVES)
def test_growing_the_curve_never_moves_a_confirmed_crossing(curve):
    target = Target(metric="top5", value=0.791, confirmations=2)
    found = None
    for n in range(len(curve) + 1):
        now = sustained_index(target, curve[:n], schedule_over=False)
        assert found is None or now == found
        found = now
