"""Who is logged in, and for how long."""

from __future__ import annotations

from agent.web.sessions import LASTS, MOST_SESSIONS, WebSessions, digest

TOKEN, OTHER = digest("a-token-of-some-length"), digest("another-token-of-some-length")


def test_a_session_lasts_twelve_hours() -> None:
    """From the login, whatever is asked meanwhile."""
    sessions = WebSessions()
    cookie, session = sessions.open(TOKEN, 100.0)
    assert sessions.find(cookie, TOKEN, 100.0 + LASTS - 1) is session
    assert sessions.find(cookie, TOKEN, 100.0 + LASTS) is None
    assert LASTS == 12 * 3600


def test_another_token_ends_it_for_good() -> None:
    """The former token in the file again does not bring it back."""
    sessions = WebSessions()
    cookie, session = sessions.open(TOKEN, 0.0)
    assert sessions.find(cookie, OTHER, 1.0) is None
    assert sessions.find(cookie, TOKEN, 2.0) is None
    assert not sessions.is_open(session)


def test_what_the_cookie_holds_is_kept_nowhere() -> None:
    """A dump of the memory's sessions logs nobody in."""
    sessions = WebSessions()
    cookie, session = sessions.open(TOKEN, 0.0)
    assert cookie.encode() not in (session.key, session.token)
    assert sessions.find("", TOKEN, 0.0) is None
    assert sessions.find("\udcff", TOKEN, 0.0) is None


def test_sessions_do_not_pile_up() -> None:
    """Those that ran out go, and of more than can be the oldest."""
    sessions = WebSessions()
    cookies = [sessions.open(TOKEN, float(at))[0] for at in range(MOST_SESSIONS + 10)]
    assert len(sessions) == MOST_SESSIONS
    assert sessions.find(cookies[0], TOKEN, 300.0) is None
    sessions.open(TOKEN, 2 * LASTS)
    assert len(sessions) == 1
