"""The configuration files: all of them compose, and the recipes match their papers."""

import re
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from sklearn.datasets import load_digits

from efficiency_bench import hydra_app, provenance
from efficiency_bench.config import load, measured_part
from efficiency_bench.config_checks import check
from efficiency_bench.errors import UserError
from efficiency_bench.identity import config_digest, row_date
from efficiency_bench.ledger import store
from efficiency_bench.training.schedule import rate_multiple
from tests.experiments import EXPERIMENTS
from tests.ledger.recorded import LEDGER
from tests.tiny import composed

CONFIGS = Path(__file__).parent.parent / "configs"
HISTORY = ("history", "history_modern", "history_speedruns")
RECIPES = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))
OWN_RECIPE = {"efficientnet_b0", "mobilenet_v3_small", "regnet_y_400mf", "convnext_tiny"}
WITHOUT_BATCH_NORM = {"alexnet", "vgg11", "vgg16", "googlenet", "squeezenet1_1"}


def test_the_experiments_match_the_documentation():
    assert sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml")) == sorted(
        EXPERIMENTS
    )


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize(
    "data",
    ["digits", "cifar10", "cifar100", "folder", "imagenet", "imagenet_ffcv", "imagenet_memory"],
)
def test_every_experiment_composes_with_every_data_set(experiment, data):
    config = composed(f"experiment={experiment}", f"data={data}")
    check(config)
    assert config.experiment == config.model.name == experiment
    photographs = data == "folder" or data.startswith("imagenet")
    assert config.form == ("imagenet" if photographs else "small")
    assert config.recipe.name.startswith(config.form)
    assert row_date(measured_part(config)) == config.model.published, (
        "no experiment's own recipe moves its row"
    )


PUBLISHED_RATES = {
    "small_2020": (0.1, 256),  # Hernandez & Brown 2020, appendix B
    "small_alexnet": (0.01, 256),
    "small_plain": (0.01, 256),
    "small_smoothed": (0.1, 256),
    "small_efficientnet": (0.256, 4096),  # Tan & Le 2019, section 5.2
    "small_mobilenet_v3": (0.1, 4096),  # Howard et al. 2019, section 6.1.1
    "small_regnet": (0.8, 1024),  # Radosavovic et al. 2020, appendix C
    "small_convnext": (4e-3, 4096),  # Liu et al. 2022, appendix A.1
}
"""Recipe -> the rate and the batch that its source prints."""


@pytest.mark.parametrize("name", PUBLISHED_RATES)
def test_a_rate_that_is_not_the_published_one_per_image_is_a_departure(name):
    rate, batch = PUBLISHED_RATES[name]
    recipe = yaml.safe_load((CONFIGS / "recipe" / f"{name}.yaml").read_text())
    times = recipe["optimizer"]["lr"] / recipe["batch_size"] / (rate / batch)
    told = " ".join(recipe["departures"])
    assert times == pytest.approx(1) or f" {times:.2g} times the paper's {rate:g}" in told


def test_the_recipe_of_2020_is_the_papers_and_the_same_for_every_network():
    recipe = composed("model=alexnet", "recipe=small_2020").recipe
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.9, 1e-4)
    assert rate_multiple(recipe.schedule, 1.0) == pytest.approx(1e-3)
    assert rate_multiple(recipe.schedule, 0.5) == pytest.approx(1e-3**0.5)
    assert (recipe.label_smoothing, recipe.ema_decay, recipe.date) == (0.0, 0.0, None)
    assert optimizer.lr / recipe.batch_size == pytest.approx(0.1 / 256)


def jobs(*arguments):
    return [job.config for job in hydra_app.compose(["-m", *arguments])]


def swept_names(suite: str, key: str) -> list[str]:
    config = yaml.safe_load((CONFIGS / "suite" / f"{suite}.yaml").read_text())
    params = config["hydra"]["sweeper"]["params"]
    return params[key].split(",")


def test_the_ladder_and_the_search_have_every_network_of_the_history():
    names = swept_names("history", "experiment")
    assert len(names) == 14
    assert swept_names("ladder", "model") == swept_names("tuning", "model") == names


TWO = "model=alexnet,convnext_tiny"
"""Two networks stand for all: each job takes a tenth of a second to compose."""


def test_the_ladder_has_seven_budgets_for_every_network():
    ladder = jobs("suite=ladder", TWO)
    assert len(ladder) == 2 * 7
    budgets = [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]
    for name in ("alexnet", "convnext_tiny"):
        assert [c.budget for c in ladder if c.model.name == name] == budgets
    assert {(c.recipe.name, c.estimand, c.target.value) for c in ladder} == {
        ("small_2020", "budgeted", None)
    }
    for config in ladder:
        check(config)


def test_the_search_tries_five_rates_around_the_recipes_for_every_network():
    tuning = jobs("suite=tuning", TWO)
    assert len(tuning) == 2 * 5
    centre = composed("model=alexnet", "recipe=small_2020").recipe.optimizer.lr
    for name in ("alexnet", "convnext_tiny"):
        rates = [c.recipe.optimizer.lr for c in tuning if c.model.name == name]
        assert rates == pytest.approx([centre * 10 ** (i / 2) for i in range(-2, 3)], rel=1e-6)
    assert {(c.budget, c.data.inner_split, c.seed) for c in tuning} == {(0.04, 0.2, 0)}
    for config in tuning:
        check(config)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_a_source_and_an_expected_accuracy(name):
    recipe = yaml.safe_load((CONFIGS / "recipe" / f"{name}.yaml").read_text())
    assert recipe["name"] == name
    assert re.search(r"arXiv|myrtle\.ai", recipe["citation"])  # what can be looked up
    assert "%" in recipe["expects"] or "not measured" in recipe["expects"]
    assert isinstance(recipe["departures"], list)
    assert all(isinstance(line, str) for line in recipe["departures"])


@pytest.mark.parametrize("experiment", [e for e in EXPERIMENTS if e not in OWN_RECIPE])
def test_the_recipe_of_2020(experiment):
    recipe = composed(f"experiment={experiment}", "data=imagenet").recipe
    optimizer = recipe.optimizer
    assert (recipe.epochs, recipe.batch_size) == (90, 256)
    assert (optimizer.name, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.9, 1e-4)
    assert optimizer.lr == (0.01 if experiment in WITHOUT_BATCH_NORM else 0.1)
    ends = [rate_multiple(recipe.schedule, epoch / 90) for epoch in (0, 29.99, 30.01, 90)]
    if experiment == "alexnet":
        assert ends == pytest.approx([1, 1, 0.1, 0.01])
    else:
        assert ends == pytest.approx([1, 10**-1, 10**-1, 1e-3], rel=1e-2)


def test_efficientnets_own_recipe():
    recipe = composed("experiment=efficientnet_b0", "data=imagenet").recipe
    assert recipe.optimizer.name == "rmsprop_tf"
    assert recipe.optimizer.lr / recipe.batch_size == pytest.approx(0.256 / 4096)
    after = rate_multiple(recipe.schedule, 24.1 / 350)
    assert after == pytest.approx(0.97**10)
    assert recipe.date == "2019-05-28"
    assert (recipe.ema_decay, recipe.augmentation.auto_augment) == (0.9999, True)


def test_epochs_stretch_the_whole_schedule():
    long = composed("experiment=alexnet", "data=imagenet").recipe
    short = composed("experiment=alexnet", "data=imagenet", "recipe.epochs=9").recipe
    assert short.epochs == 9
    assert rate_multiple(short.schedule, 0.5) == rate_multiple(long.schedule, 0.5)


def test_the_digest_covers_what_is_measured_and_not_where_results_go():
    def digest(*overrides):
        return config_digest(measured_part(composed("experiment=resnet18", *overrides)))

    elsewhere = digest(
        *("run_dir=x", "ledger_dir=y", "seed=7", "threads=1", "data.workers=1"),
        "data.allow_left_out=true",
    )
    assert digest() == elsewhere != digest("recipe.optimizer.lr=0.2")


def test_mean_and_std_of_digits_are_those_of_the_scans():
    config = composed("experiment=resnet18").data
    scans = load_digits().data / 16
    assert config.mean == pytest.approx([scans.mean()] * 3, abs=1e-4)
    assert config.std == pytest.approx([scans.std()] * 3, abs=1e-4)


@pytest.mark.parametrize(
    "override",
    [
        "recipe.epochs=0",
        "recipe.batch_size=0",
        "evaluation.per_epoch=0",
        "evaluation.per_epoch_near=0",
        "seed=-1",
        "recipe.optimizer.name=adam",
        "recipe.schedule.name=wave",
        "precision=fp8",
        "optimizer_kernel=fast",
        "target.comparison='>'",
        "target.tolerance=5",
        "recipe.date=yesterday",
        "recipe.optimizer.lr=0",
        "recipe.label_smoothing=2",
        "data.decode=opencv",
        "data.decode=simplejpeg",  # of digits
        "data.workers=-1",
    ],
)
def test_invalid_values_are_rejected(override):
    with pytest.raises(UserError):
        check(composed("experiment=resnet18", override))


def test_an_entry_names_the_versions_it_ran_with():
    assert {"python", "torch", "fvcore"} <= set(provenance.package_versions())


def test_the_history_trains_its_baseline_first_on_one_schedule_and_modern_rows_on_their_own():
    suites = {n: OmegaConf.load(CONFIGS / "suite" / f"{n}.yaml") for n in HISTORY}
    experiments = suites["history"].hydra.sweeper.params.experiment.split(",")
    assert experiments[0] == composed("suite=history", "experiment=vgg11").target.baseline_model
    assert len(set(experiments)) == len(experiments) >= 10
    assert set(experiments) <= set(EXPERIMENTS)
    for name, suite in suites.items():
        assert suite.hydra.sweeper.params.seed == "0,1,2"
        jobs = hydra_app.compose(["-m", f"suite={name}", "seed=0"])
        assert {job.config.data.name for job in jobs} == {"cifar10"}
        assert {job.config.suite for job in jobs} == {name}
    assert composed("suite=history", "experiment=vgg11").recipe.epochs == 15
    modern = composed("suite=history_modern", "model=vgg11", "recipe=small_modern")
    assert modern.recipe.epochs == composed("model=vgg11", "recipe=small_modern").recipe.epochs
    assert composed("suite=history", "experiment=vgg11").target == modern.target


def test_the_config_digest_of_every_recorded_entry_is_unchanged():
    """A key that affects no measurement is in no digest, whatever its default."""
    entries = store.read(LEDGER).entries
    assert len(entries) >= 3
    for entry in entries:
        loaded = load(OmegaConf.create(dict(entry.config)))
        assert config_digest(measured_part(loaded)) == entry.config_digest, entry.run_id


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ((), "imagenet"),
        (("data.image_px=64",), "imagenet"),
        (("data.image_px=63",), "small"),
        (("data.image_px=32",), "small"),
        (("data.image_px=32", "form=imagenet"), "imagenet"),
    ],
)
def test_the_image_side_of_a_folder_selects_the_form(settings, form):
    (job,) = hydra_app.compose(["experiment=alexnet", "data=folder", *settings])
    assert job.config.form == form
    assert job.config.recipe.name == f"{form}_alexnet" == job.config.target.baseline_recipe
    assert (job.config.target.value, job.config.target.metric) == (None, None)
    assert job.config.target.tolerance == 0


def test_a_sweep_over_image_sides_of_a_folder_needs_one_form():
    sweep = ["-m", "experiment=resnet18", "data=folder"]
    jobs = hydra_app.compose([*sweep, "data.image_px=16,32"])
    assert [job.config.form for job in jobs] == ["small", "small"]
    with pytest.raises(UserError, match="small form, the others the ImageNet form"):
        hydra_app.compose([*sweep, "data.image_px=32,64"])


@pytest.mark.parametrize(
    "path", sorted((CONFIGS / "tuned_rates").glob("*.yaml")), ids=lambda p: p.stem
)
def test_committed_rates_are_those_of_the_ladder(path):
    rates = yaml.safe_load(path.read_text())["rates"]
    ladder = jobs("suite=ladder", f"rates={path.stem}", "budget=1")
    assert len(ladder) == 14
    for config in ladder:
        assert config.recipe.optimizer.lr == rates[config.model.name]["rate"]
