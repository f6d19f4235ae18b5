"""The wheel: what must be inside, and that it runs away from its checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from tests.support.demo_server import NOTHING, PROJECT, Run, served

# Top-level packages of the checkout that are not for users.
DEVELOPMENT = {"tests", "bench"}
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "node_modules", "dist", "*.pyc", ".*cache")
BUILT_PAGE = Path("web/dist/graphiql/manifest.json")


def packages() -> list[str]:
    found = (path.parent.name for path in PROJECT.glob("*/__init__.py"))
    return sorted(set(found) - DEVELOPMENT)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the checkout with what a wheel is built from, where no page was built."""
    copy = tmp_path / "checkout"
    for folder in [*packages(), "web"]:
        shutil.copytree(PROJECT / folder, copy / folder, ignore=NOT_SOURCE)
    for file in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(PROJECT / file, copy / file)
    return copy


def wheel(checkout: Path) -> Path:
    """Build the wheel and return its path."""
    target = checkout.parent / "wheel"
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    (built,) = target.iterdir()
    return built


def files(checkout: Path, *folders: str) -> set[str]:
    """Return the files in these folders of the checkout."""
    paths = (path for folder in folders for path in (checkout / folder).rglob("*"))
    return {path.relative_to(checkout).as_posix() for path in paths if path.is_file()}


def test_the_wheel_has_every_package_with_its_data_and_the_pages(checkout: Path) -> None:
    (checkout / BUILT_PAGE).parent.mkdir(parents=True)
    (checkout / BUILT_PAGE).write_text("{}")
    with ZipFile(wheel(checkout)) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    pages = files(checkout, "web/portal", "web/queries", "web/dist/graphiql")
    assert BUILT_PAGE.as_posix() in pages
    assert inside == files(checkout, *packages()) | {f"server/{page}" for page in pages}
    # Data of each kind is there, so that the comparison is not one of modules alone.
    kinds = {Path(name).suffix for name in inside}
    assert kinds >= {".typ", ".mako", ".html", ".css", ".js", ".svg", ".graphql"}


def test_the_import_contract_is_about_the_packages_of_the_wheel() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert sorted(project["tool"]["importlinter"]["root_packages"]) == packages()


# -- installed -------------------------------------------------------------------------------------


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel in a new virtual environment and return its folder.

    Dependencies are those of the environment that runs the tests, since a test asks no index. Its
    own `.pth` files, among them the one of the checkout, don't count in another environment.
    """
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    options = ["--python", python, "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *options], check=True)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout
    dependencies = Path(own.strip()) / "dependencies.pth"
    dependencies.write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def runner(installed: Path) -> Run:
    """Return a function that runs the `portal` of this virtual environment."""

    @contextmanager
    def run(
        command: Sequence[str],
        folder: Path,
        printed: Path,
        environment: Mapping[str, str] = NOTHING,
    ) -> Iterator[Callable[[], bool]]:
        own = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
        portal = [str(installed / "bin" / "portal"), *command]
        with (
            printed.open("w") as out,
            subprocess.Popen(portal, cwd=folder, env=own, stdout=out, stderr=out) as process,
        ):
            try:
                yield lambda: process.poll() is None
            finally:
                process.terminate()

    return run


@pytest.mark.faults
@pytest.mark.server
def test_an_installed_wheel_serves_the_demo_from_another_folder(
    checkout: Path, tmp_path: Path
) -> None:
    environment = install(wheel(checkout), tmp_path / "environment")
    shutil.rmtree(checkout)
    elsewhere = tmp_path / "elsewhere"
    # A package of the same name in the folder where the command runs is left alone.
    (elsewhere / "server").mkdir(parents=True)
    (elsewhere / "server" / "__init__.py").write_text("raise AssertionError")
    ask = "import server; print(server.__file__)"
    where = [str(environment / "bin" / "python"), "-I", "-c", ask]
    found = subprocess.run(where, cwd=elsewhere, check=True, capture_output=True, text=True).stdout
    assert found.startswith(str(environment))
    with served(elsewhere, run=runner(environment)) as demo:
        query = "{ client { invoices(first: 1) { nodes { number document { downloadUrl } } } } }"
        headers = {"Authorization": f"Bearer {demo.tokens['client']}"}
        answer = httpx.post(f"{demo.url}/graphql", json={"query": query}, headers=headers).json()
        (invoice,) = answer["data"]["client"]["invoices"]["nodes"]
        printed = httpx.get(invoice["document"]["downloadUrl"], timeout=60)
        assert printed.content.startswith(b"%PDF")
        for path in ("/portal/", "/portal/main.js", "/portal/queries/overview.graphql"):
            assert httpx.get(f"{demo.url}{path}").status_code == 200, path
        assert "any security code" in httpx.get(f"{demo.url}/sandbox/").text
        page = httpx.get(f"{demo.url}/graphql", headers={"Accept": "text/html"}).text
        assert "has not been built" in page
