"""The repository of the recipe that this project comes from, as pipenv made it."""

from __future__ import annotations


def test_the_recipe_s_repository_serves_its_page_and_its_file(get):
    assert get("https://app.test/").body == "Hello, World!"
    assert get("https://app.test/static/hello-world.txt").body == "Hello World!\n"


def test_a_second_run_builds_nothing(play):
    run = play("playbooks/app.yml")
    assert run.changed == 0 and "\nbuild: " not in run.output, run.output
