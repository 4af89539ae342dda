"""For maintainers: `make relock` writes cluster/artifacts.lock anew, after a change of a pom.xml."""

from __future__ import annotations

import sys
from pathlib import Path

from oda.cluster.artifacts import LOCK, ArtifactCache, digest_of, start_maven


def lock_lines(module: Path, repository: Path) -> list[str]:
    """The lines of one module, given the file that Maven left with its artifacts."""
    files = [Path(name) for name in module.read_text().split(":")]
    return [f"# {module.name}", *(f"{digest_of(file)}  {file.relative_to(repository)}" for file in files)]


def main() -> None:
    """Resolve all modules, and write what came as what shall come."""
    cache = ArtifactCache()
    classpaths = cache.folder / "classpaths"
    maven = start_maven(cache.maven, classpaths, sys.stdout.fileno())
    if maven.wait():
        sys.exit(maven.returncode)
    modules = [module for module in sorted(classpaths.iterdir()) if module.read_text()]
    lines = [line for module in modules for line in lock_lines(module, cache.maven)]
    LOCK.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
