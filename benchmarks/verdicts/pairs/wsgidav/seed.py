"""Write a share: folders of text, HTML and office files."""

from pathlib import Path

share = Path("share")
for folder in ("docs", "docs/old", "media", "letters", "empty"):
    (share / folder).mkdir(parents=True)
for number in range(1, 9):
    (share / f"docs/page {number}.html").write_text(f"<html><body><h1>Page {number}</h1></body></html>\n")
    (share / f"docs/old/note-{number}.txt").write_text(f"note {number}\n" * 50)
    (share / f"letters/letter{number}.docx").write_bytes(bytes(range(256)) * number)
(share / "media/large.bin").write_bytes(b"0123456789" * 10_000)
(share / "media/link.txt").symlink_to("../docs/old/note-1.txt")
