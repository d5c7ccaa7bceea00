"""A course: a teacher makes a room, a student saves a view in it, and the teacher finds it."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Watch, create_link, load_page, open_share, wait_until_done
from tests.browser.look.test_access import audit
from tests.conftest import Server
from tests.service.conftest import start_service

pytestmark = pytest.mark.full

SHEET = "## Task\n\nDrag **depth** to 64.\n\n<b>not bold</b>"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where anyone makes rooms."""
    running = start_service(
        tmp_path_factory.mktemp("course"), "--no-precompute", "--workers", "1", "--rooms-by", "anyone"
    )
    yield running
    running.kill()


def make_room(page: Page, state: str) -> None:
    """What a teacher does."""
    page.get_by_role("textbox", name="Title").fill("Signals, autumn 2026")
    page.get_by_role("textbox", name="Instructions (Markdown)").fill(SHEET)
    page.get_by_role("button", name="+ Starting view").click()
    view = page.get_by_role("group", name="View 1")
    view.get_by_role("textbox", name="Title").fill("Eight layers")
    view.get_by_role("textbox", name="Description").fill("A short stack.")
    view.get_by_role("textbox", name="Address of the view").fill(f"https://anywhere.example/#{state}")
    page.get_by_role("button", name="Create room").click()
    page.wait_for_url(re.compile(r"/r/[0-9a-f]+#key="))


def save(page: Page, title: str) -> None:
    """What a student does."""
    dialog = open_share(page)
    dialog.get_by_role("textbox", name="Title").fill(title)
    create_link(page)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()


def test_a_room_from_the_teacher_to_a_student_and_back(browser: Browser, course: Server) -> None:
    watch = Watch(course.url)
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    teacher = load_page(context, watch, "/rooms", wait=False)
    audit(teacher, "rooms")
    make_room(teacher, "v=1&depth=8&width=32")
    expect(teacher.get_by_role("heading", name="Shared by students (0)")).to_be_visible()
    audit(teacher, "rooms")
    link = teacher.get_by_role("region", name="Link for students").inner_text()

    student = load_page(context, watch, link.removeprefix(course.url), wait=False)
    expect(student.get_by_role("heading", name="Task")).to_be_visible()
    expect(student.get_by_text("<b>not bold</b>")).to_be_visible()
    expect(student.get_by_role("heading", name="Teacher view")).to_have_count(0)
    audit(student, "room of a student")
    student.get_by_role("link", name="Eight layers").click()
    wait_until_done(student)
    expect(student.locator("output[for=field-depth]")).to_have_text("8")
    student.reload()  # the address is the view's own again, and the tab is still in its room
    wait_until_done(student)
    expect(student.get_by_text("Room “Signals, autumn 2026”.")).to_be_visible()
    save(student, "What I found")
    student.get_by_role("button", name="Leave room").click()
    save(student, "Mine alone")

    teacher.reload()
    expect(teacher.get_by_role("heading", name=re.compile("Shared by students"))).to_have_text(re.compile(r"\([12]\)"))
    titles = teacher.locator(".teacher li a").all_inner_texts()
    assert "What I found" in titles
    assert "Mine alone" not in titles
    with teacher.expect_download() as download:
        teacher.get_by_role("button", name="Export everything (zip)").click()
    assert download.value.suggested_filename.endswith(".zip")
    teacher.get_by_role("button", name="Delete the room …").click()
    teacher.get_by_role("button", name=re.compile("^Yes, delete the room")).click()
    teacher.wait_for_url(f"{course.url}/rooms")
    watch.check()
    context.close()
