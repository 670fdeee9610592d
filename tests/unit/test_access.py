"""The table of actions: who may what, and what a token can be confined to."""

import pytest

from wtai.identity.access import ACTIONS, Principal, Role, UnknownScope, actions_of, allowed, check_grant, check_scopes

RESOURCES = {
    "owners", "users", "plans", "subscription", "features", "channel_accounts", "conversations", "messages", "ai_results",
    "memories", "jobs", "usage", "templates", "webhook_endpoints",
}  # fmt: skip


def who(role: Role, *scopes: str) -> Principal:
    return Principal("token" if scopes else "user", "id", 1, role, 1, scopes=actions_of(scopes) if scopes else None)


def test_every_resource_of_the_api_can_be_read_by_someone() -> None:
    assert {f"{resource}.read" for resource in RESOURCES} <= set(ACTIONS)


def test_an_end_user_may_nothing_and_nothing_is_everybodys() -> None:
    assert all(roles and Role.USER not in roles for roles in ACTIONS.values())
    assert not any(allowed(who(Role.USER), action) for action in ACTIONS)


def test_an_agent_works_the_inbox_and_sets_nothing() -> None:
    may = {action for action in ACTIONS if allowed(who(Role.AGENT), action)}
    assert {"conversations.take_over", "messages.create", "memories.read"} <= may
    changes = {action for action in may if not action.endswith(".read")}
    assert {action.partition(".")[0] for action in changes} == {
        "me", "sessions", "end_users", "conversations", "messages", "memories",
    }  # fmt: skip


def test_an_admin_may_all_that_an_agent_may() -> None:
    assert all(Role.ADMIN in roles for roles in ACTIONS.values() if Role.AGENT in roles)


def test_the_platform_reads_no_conversation_and_no_owner_runs_the_platform() -> None:
    private = {"conversations", "messages", "ai_results", "memories", "end_users", "templates"}
    platform = {action for action in ACTIONS if allowed(who(Role.PLATFORM), action)}
    assert not {action for action in platform if action.partition(".")[0] in private}
    for action in ("owners.create", "owners.list", "plans.update", "subscription.update", "owners.delete"):
        assert ACTIONS[action] == {Role.PLATFORM}


def test_an_action_that_nobody_wrote_down_is_an_error_not_a_no() -> None:
    with pytest.raises(KeyError):
        allowed(who(Role.ADMIN), "conversations.explode")


def test_a_token_may_what_its_scopes_and_its_role_both_hold() -> None:
    token = who(Role.AGENT, "read", "conversations")
    assert allowed(token, "conversations.close")
    assert allowed(token, "memories.read")
    assert not allowed(token, "memories.delete")
    assert not allowed(token, "usage.read")


@pytest.mark.parametrize("scope", ["", ".", "conversation", "conversations.", "conversations.*", "*", "ALL", "reads"])
def test_an_unknown_scope_is_refused(scope: str) -> None:
    with pytest.raises(UnknownScope):
        actions_of([scope])


def test_groups_stand_for_their_actions() -> None:
    assert actions_of(["all"]) == set(ACTIONS)
    assert actions_of(["read"]) == {action for action in ACTIONS if action.endswith(".read")}
    assert actions_of(["jobs"]) == {"jobs.read", "jobs.retry", "jobs.delete"}
    assert actions_of(["usage.read", "jobs.retry"]) == {"usage.read", "jobs.retry"}


def test_an_admin_makes_tokens_for_itself_and_for_agents() -> None:
    check_grant(who(Role.ADMIN), Role.ADMIN, ["all"])
    check_grant(who(Role.ADMIN), Role.AGENT, ["all"])
    check_grant(who(Role.PLATFORM), Role.PLATFORM, ["owners"])


@pytest.mark.parametrize(
    ("maker", "role", "scopes"),
    [
        (who(Role.AGENT), Role.ADMIN, ["read"]),
        (who(Role.ADMIN), Role.PLATFORM, ["owners"]),
        (who(Role.PLATFORM), Role.ADMIN, ["read"]),
        (who(Role.ADMIN, "api_tokens", "usage"), Role.ADMIN, ["all"]),
        (who(Role.ADMIN, "api_tokens", "usage"), Role.ADMIN, ["conversations.read"]),
        (who(Role.ADMIN), Role.ADMIN, ["owners.create"]),
        (who(Role.ADMIN), Role.AGENT, ["users.create"]),
    ],
)
def test_no_token_can_do_more_than_its_maker_or_its_role(maker: Principal, role: Role, scopes: list[str]) -> None:
    with pytest.raises(UnknownScope):
        check_grant(maker, role, scopes)


def test_a_scope_that_holds_nothing_for_the_role_is_refused() -> None:
    check_scopes(Role.AGENT, ["read", "memories"])
    with pytest.raises(UnknownScope, match="jobs is nothing that role agent may do"):
        check_scopes(Role.AGENT, ["read", "jobs"])
