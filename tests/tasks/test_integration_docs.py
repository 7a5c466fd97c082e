from pathlib import Path

from etl_runner.tasks.catalogue import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "integrations.md"


def test_the_page_of_integrations_is_what_the_code_has() -> None:
    renew = "renew it with: python -m etl_runner.tasks.catalogue > docs/integrations.md"

    assert PAGE.read_text() == page(), renew
