"""Write packages to serve: 12 projects, three versions of each, in both formats."""

from pathlib import Path

folder = Path("packages")
folder.mkdir()
PROJECTS = (
    "apple",
    "banana",
    "cherry",
    "date",
    "elder",
    "fig",
    "grape",
    "hazel",
    "iris",
    "jasmine",
    "kiwi",
    "lime",
)
for project in PROJECTS:
    for version in ("1.0", "1.1", "2.0"):
        (folder / f"{project}-{version}.tar.gz").write_text(f"source of {project} {version}\n" * 40)
        (folder / f"{project}-{version}-py3-none-any.whl").write_text(f"wheel of {project} {version}\n" * 60)
