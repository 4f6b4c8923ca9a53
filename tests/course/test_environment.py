from d2lstab.course import check_environment, environment


def test_the_words_are_the_same_wherever_all_is_well(monkeypatch, capsys):
    monkeypatch.setattr(environment, "_CHECKS", {"one": lambda: None, "two": lambda: None})
    assert check_environment() is True
    assert capsys.readouterr().out == (
        "ok       one\nok       two\nEverything the course needs is here.\n"
    )


def test_what_fails_is_named_and_the_rest_still_runs(monkeypatch, capsys):
    def broken():
        raise ImportError("no such thing: run make d2l")

    monkeypatch.setattr(environment, "_CHECKS", {"one": broken, "two": lambda: None})
    assert check_environment({"three": lambda: None}) is False
    out = capsys.readouterr().out
    assert (
        "NOT YET  one: ImportError: no such thing: run make d2l\nok       two\nok       three\n"
        in out
    )
    assert "1 of 3 checks failed" in out


def test_the_checks_that_need_no_extra_pass_here():
    for name in ("Python is recent enough", "torch computes a gradient"):
        environment._CHECKS[name]()
    environment._digits()
    environment._figures()
    environment._scratch()
