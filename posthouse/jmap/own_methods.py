"""Our own methods in one literal table, and our own properties of Email (docs/jmap-extensions.md says what they do)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from posthouse.jmap import (
    deleted_email,
    learnt_address,
    own_account,
    retention,
    security,
    unsubscribe,
    vcards,
)
from posthouse.jmap.admin import METHODS as ADMIN_METHODS
from posthouse.jmap.capabilities import OWN
from posthouse.jmap.email_extras import EmailExtras
from posthouse.jmap.method import Arguments, Method
from posthouse.jmap.snoozed import SNOOZED
from posthouse.jmap.verdict import CAUTION, VERDICT
from posthouse.store.credentials import CredentialKind

OWN_METHODS: Final[Mapping[str, Method]] = {
    "Security/get": Method(OWN, Arguments, security.get),
    "Security/checkPassword": Method(OWN, security.PasswordArguments, security.check_password),
    "Security/changePassword": Method(OWN, security.ChangePasswordArguments, security.change_password),
    "WebSession/destroy": Method(OWN, security.DestroyArguments, security.destroy_of(CredentialKind.SESSION)),
    "AppPassword/create": Method(OWN, security.CreateArguments, security.create_app_password),
    "AppPassword/destroy": Method(OWN, security.DestroyArguments, security.destroy_app_passwords),
    "ApiToken/create": Method(OWN, security.CreateArguments, security.create_token),
    "ApiToken/destroy": Method(OWN, security.DestroyArguments, security.destroy_of(CredentialKind.TOKEN)),
    "SecondFactor/begin": Method(OWN, security.PasswordArguments, security.begin_totp),
    "SecondFactor/confirm": Method(OWN, security.CodeArguments, security.confirm_totp),
    "SecondFactor/end": Method(OWN, security.PasswordArguments, security.end_totp),
    "SecondFactor/newRecoveryCodes": Method(OWN, security.PasswordArguments, security.new_codes),
    "Passkey/begin": Method(OWN, security.PasswordArguments, security.begin_passkey),
    "Passkey/finish": Method(OWN, security.FinishPasskeyArguments, security.finish_passkey),
    "Passkey/destroy": Method(OWN, security.DestroyArguments, security.destroy_of(CredentialKind.PASSKEY)),
    "ClientSetup/get": Method(OWN, Arguments, own_account.client_setup),
    "Preferences/get": Method(OWN, Arguments, own_account.preferences_get),
    "Preferences/set": Method(OWN, own_account.PreferencesSetArguments, own_account.preferences_set),
    "LearntAddress/get": Method(OWN, Arguments, learnt_address.get),
    "LearntAddress/destroy": Method(OWN, learnt_address.DestroyArguments, learnt_address.destroy),
    "DeletedEmail/get": Method(OWN, deleted_email.GetArguments, deleted_email.get),
    "DeletedEmail/restore": Method(OWN, deleted_email.RestoreArguments, deleted_email.restore),
    "DeletedEmail/destroy": Method(OWN, deleted_email.DestroyArguments, deleted_email.destroy),
    "Retention/count": Method(OWN, retention.CountArguments, retention.count),
    "Unsubscription/send": Method(OWN, unsubscribe.UnsubscribeArguments, unsubscribe.send),
    "VCard/import": Method(OWN, vcards.ImportArguments, vcards.import_cards),
    "VCard/export": Method(OWN, vcards.ExportArguments, vcards.export_cards),
    "Journey/get": Method(OWN, own_account.TrackArguments, own_account.journey),
    "Journey/list": Method(OWN, own_account.JourneyListArguments, own_account.journeys),
    **ADMIN_METHODS,
}
OWN_EXTRAS: Final = EmailExtras([SNOOZED, VERDICT, CAUTION])
