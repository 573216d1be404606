"""What a process does after its run was stopped, by signal and by launcher."""

import os
import signal
import threading

import pytest

from efficiency_bench.run import signals
from efficiency_bench.run.signals import STOP_SIGNALS, stop_on_signal


class Requeued(BaseException):
    """Raised in place of the exit of submitit's handler after `scontrol requeue`."""


@pytest.fixture(autouse=True)
def _outside_slurm(monkeypatch):
    for name in ("SLURM_JOB_ID", "SUBMITIT_EXECUTOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def in_submitit(monkeypatch):
    """The environment and handlers that submitit sets before it calls the job."""

    def requeue(number, frame):
        raise Requeued(number)

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    before = signal.signal(signal.SIGUSR2, requeue)
    yield
    signal.signal(signal.SIGUSR2, before)


@pytest.fixture
def connected():
    """A process that SIGHUP would kill, even if the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_outside_slurm_the_process_exits_and_the_handlers_are_restored(number, capsys):
    before = [signal.getsignal(each) for each in STOP_SIGNALS]
    with stop_on_signal() as stop:
        assert not stop
        signal.raise_signal(number)
        assert stop
        stop.hand_over()
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == before
    assert capsys.readouterr().err.count("same command") == 1


def test_a_second_ctrl_c_is_noted_and_a_third_exits_at_once(capsys):
    with stop_on_signal():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert "one more Ctrl-C exits at once" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_under_nohup_a_hangup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signal() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_exiting_process_ignores_signals_after_it_was_stopped():
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        with stop_on_signal(leaving=True):
            signal.raise_signal(signal.SIGTERM)
        for number in before:
            signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_process_that_was_not_stopped_gets_its_handlers_back():
    before = [signal.getsignal(each) for each in STOP_SIGNALS]
    with stop_on_signal(leaving=True):
        pass
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == before


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_near_the_time_limit_submitits_handler_requeues_only_at_the_end(number, in_submitit):
    with stop_on_signal() as stop:
        signal.raise_signal(number)  # inside a training step: nothing happens yet
        with pytest.raises(Requeued) as requeued:
            stop.hand_over()
    assert requeued.value.args == (signal.SIGUSR2,)


def test_a_rank_that_does_not_requeue_waits_for_the_one_that_does(in_submitit, monkeypatch):
    waited = []
    signal.signal(signal.SIGUSR2, lambda number, frame: None)
    monkeypatch.setattr(signals.time, "sleep", waited.append)
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGUSR2)
        stop.hand_over()
    assert waited == [signals.REQUEUED_WITHIN_SECONDS]


def test_a_preempted_job_waits_to_be_killed_or_is_requeued_at_its_time_limit(in_submitit):
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGTERM)
        later = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR2))
        later.start()
        try:
            with pytest.raises(Requeued):
                stop.hand_over()
        finally:
            later.join()  # the signal must not arrive after its handler is removed
        assert stop.received == [signal.SIGTERM, signal.SIGUSR2]


def test_ctrl_c_ends_the_wait_for_slurm(in_submitit):
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGTERM)
        later = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        later.start()
        try:
            stop.hand_over()
        finally:
            later.join()
        assert stop.received == [signal.SIGTERM, signal.SIGINT]


def test_ctrl_c_in_a_slurm_job_exits(in_submitit):
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        stop.hand_over()


def test_a_run_that_stopped_without_a_signal_does_not_wait(in_submitit):
    with stop_on_signal() as stop:
        stop.hand_over()
