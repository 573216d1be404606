# %% [markdown]
"""Three networks of 2012, 2015 and 2018 on 600 handwritten digits, from training to the fit."""

# %% Train: AlexNet sets the level to reach, the others stop at it
import efficiency_bench

SHORT = (
    "data=digits",
    "data.train_images=600",
    "data.val_images=200",
    "recipe.epochs=4",
    "recipe.batch_size=8",
    "model.scale=0.25",
    "tracking.wandb=false",
    "device=cpu",
    "ledger_dir=runs/three/ledger",
)
efficiency_bench.train("experiment=alexnet", *SHORT)
efficiency_bench.train("-m", "experiment=resnet18,shufflenet_v2_x1_0", *SHORT)

# %% Read the ledger, and look at what could not be read
ledger = efficiency_bench.ledger.read("runs/three/ledger")
assert not ledger.problems

# %% Where each run crossed AlexNet's level, in epochs
for entry in ledger.entries:
    epoch = entry.images / entry.epochs
    crossed = efficiency_bench.crossing(entry)
    if crossed is None:
        print(f"{entry.model}: set the level, top-1 {entry.target.value:.1%}")
    elif crossed.value is None:
        print(f"{entry.model}: never crossed it")
    else:
        high = "?" if crossed.high is None else f"{crossed.high / epoch:.2f}"
        print(f"{entry.model}: {crossed.value / epoch:.2f} ({crossed.low / epoch:.2f} to {high})")

# %% Fit, and compare with the rows of 2020
for entries in (ledger.entries, efficiency_bench.ledger.read("published").entries):
    fitted = efficiency_bench.fit(entries)
    print(f"{fitted.data}: {fitted.verdict}, {fitted.n} rows, {fitted.reduction_factor:.1f}x less")
    for end in ("low_months", "halving_months", "high_months"):
        months = getattr(fitted, end)
        print(f"  {end}: {'not bounded' if months is None else round(months, 1)}")
