"""What the settings say of keys, and of owners that chose nothing."""

from wtai.identity.preferences import Preferences
from wtai.secrets import Sealer, open_sealer
from wtai.settings import Settings


def sealer(settings: Settings) -> Sealer:
    """Opens and seals the owners' credentials. EnvironmentProblem if a key file is absent or not private."""
    security = settings.security
    return open_sealer(security.key_file, security.previous_key_files)


def preferences(settings: Settings) -> Preferences:
    """What holds for owners that chose nothing of their own."""
    return Preferences(
        idle_minutes=settings.conversation.idle_minutes,
        expire_minutes=settings.conversation.expire_minutes,
        burst_quiet_ms=settings.conversation.burst_quiet_ms,
        confirm_threshold=settings.closure.confirm_threshold,
        close_threshold=settings.closure.close_threshold,
    )
