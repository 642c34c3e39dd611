"""Fetches the locked jars with the Maven client at hand, from the repositories that this client is set up for."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from app.devkafka.errors import DevKafkaError
from app.devkafka.lock import Jar, refuse_wrong_jars

_MAVEN_LIMIT = 900.0  # seconds for all jars
_REQUEST_LIMIT = 60  # seconds for one response
_USER_INFO = re.compile(r"//[^/\s@]*@")
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>broker-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""
_DEPENDENCY = (
    "    <dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>"
    "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
)

Fetch = Callable[[Sequence[Jar], Path], None]


def fetch_jars(jars: Sequence[Jar], into: Path) -> None:
    """Downloads every jar into `into`, with mvn or else jgo; DevKafkaError if neither can, or if a hash differs."""
    failures = []
    clients: tuple[Fetch, ...] = (fetch_with_maven, fetch_with_jgo)
    for fetch in clients:
        try:
            fetch(jars, into)
        except DevKafkaError as error:
            failures.append(str(error))
        else:
            return refuse_wrong_jars(jars, into)
    raise DevKafkaError(f"Kafka's jars can't be fetched ({'; '.join(failures)}): install Maven or the extra `kafka`.")


def fetch_with_maven(jars: Sequence[Jar], into: Path) -> None:
    """Has the `mvn` on PATH copy the jars into `into`; doesn't check them."""
    mvn = shutil.which("mvn")
    if mvn is None:
        raise DevKafkaError("mvn isn't on PATH")
    with TemporaryDirectory(prefix="order-saga-pom-") as scratch:
        pom = Path(scratch, "pom.xml")
        pom.write_text(pom_of(jars), encoding="ascii")
        command = [
            mvn,
            "-B",
            "-q",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={into.resolve()}",
        ]
        try:
            ended = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=_MAVEN_LIMIT, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            raise DevKafkaError(f"mvn took longer than {_MAVEN_LIMIT:.0f} s") from None
    if ended.returncode:
        raise DevKafkaError(f"mvn failed: {_first_error(ended.stdout.splitlines() + ended.stderr.splitlines())}")


def pom_of(jars: Iterable[Jar]) -> str:
    """A Maven project that depends on exactly these jars, without transitive dependencies."""
    return _POM.format(dependencies="\n".join(_DEPENDENCY.format(*jar.coordinate) for jar in jars))


def _first_error(lines: Sequence[str]) -> str:
    chosen = [line for line in lines if "ERROR" in line] or list(lines) or ["it printed nothing"]
    return _USER_INFO.sub("//", chosen[0])[:300]


def fetch_with_jgo(jars: Sequence[Jar], into: Path) -> None:
    """Has the package jgo download the jars one by one into `into`; doesn't check them."""
    try:
        from jgo.config import GlobalSettings  # optional: the extra `kafka`
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError:
        raise DevKafkaError("the package jgo isn't installed") from None
    # A private cache: jgo writes in place, so a broken download must not stay in the cache of other tools.
    with TemporaryDirectory(prefix="order-saga-jgo-") as scratch:
        repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
        context = MavenContext(repo_cache=Path(scratch), remote_repos=repositories, timeout=_REQUEST_LIMIT)
        for jar in jars:
            group, artifact, version = jar.coordinate
            try:
                fetched = context.project(group, artifact).at_version(version).artifact().resolve()
            except Exception as error:  # jgo documents no exceptions: any of them means "not fetched"
                raise DevKafkaError(f"jgo failed at {jar.name}: {_USER_INFO.sub('//', str(error))[:300]}") from error
            shutil.move(fetched, into / jar.name)
