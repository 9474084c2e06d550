"""The login page's words in two languages, written in each, and the choice between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from posthouse.web.cookies import LOCALE

ENGLISH: Final = {
    "title": "Sign in",
    "name": "Posthouse",
    "address": "Mail address",
    "password": "Password",
    "submit": "Sign in",
    "passkey": "Sign in with a passkey",
    "code-title": "Your second factor",
    "code": "Code",
    "code-hint": "Six digits from your authenticator, or one of your recovery codes.",
    "go-on": "Go on",
    "back": "Use another account",
    "wrong": "Name or password is not right. Check both; the name is your whole mail address.",
    "wrong-code": "This code is not right, or was used already. Wait for the next one.",
    "wrong-passkey": "The passkey was not accepted. Try again, or use your password.",
    "delayed": "Too many attempts. Wait a few minutes, then try again.",
    "expired": "The page was open for too long. Sign in again.",
    "cookies": "Your browser did not send our cookie back. Allow cookies for this site, then try again.",
    "foreign": "This form was not sent from our own page. Open the page again and sign in there.",
    "clear": "This connection is not encrypted, so no password is taken. Open the page with https.",
    "unavailable": "The post office cannot look into its books right now. Try again in a minute.",
    "sign-out": "Sign out",
    "sign-out-text": "Signed in on this device. Do you want to sign out?",
    "other": "简体中文",
    "other-code": "zh-CN",
    "lang": "en",
}
CHINESE: Final = {
    "title": "登录",
    "name": "驿站",
    "address": "邮箱地址",
    "password": "密码",
    "submit": "登录",
    "passkey": "用通行密钥登录",
    "code-title": "两步验证",
    "code": "验证码",
    "code-hint": "请输入验证器中的六位数字，也可以用一个恢复码。",
    "go-on": "继续",
    "back": "换个账户登录",
    "wrong": "邮箱地址或密码不对。请都检查一下；邮箱地址要写全。",
    "wrong-code": "验证码不对，或者已经用过。请等下一个。",
    "wrong-passkey": "通行密钥没有通过。请再试一次，或改用密码。",
    "delayed": "尝试次数太多。请过几分钟再试。",
    "expired": "页面打开太久了，请重新登录。",
    "cookies": "浏览器没有带回我们的 Cookie。请允许本站使用 Cookie，然后再试。",
    "foreign": "这个表单不是从本站页面提交的。请重新打开页面再登录。",
    "clear": "当前连接没有加密，不能输入密码。请用 https 打开本页。",
    "unavailable": "邮局暂时查不了账户，请一分钟后再试。",
    "sign-out": "退出登录",
    "sign-out-text": "您已在这台设备上登录。要退出吗？",
    "other": "English",
    "other-code": "en",
    "lang": "zh-CN",
}
LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {"en": ENGLISH, "zh-CN": CHINESE}


def words_for(request: Request) -> Mapping[str, str]:
    """By what was asked in the address, then chosen before, then what the browser wishes."""
    for wish in (request.query_params.get("lang"), request.cookies.get(LOCALE)):
        if wish is not None and wish in LANGUAGES:
            return LANGUAGES[wish]
    for part in request.headers.get("accept-language", "").split(","):
        wish = part.partition(";")[0].strip().lower()
        if wish.startswith("zh"):
            return CHINESE
        if wish.startswith("en"):
            return ENGLISH
    return ENGLISH
