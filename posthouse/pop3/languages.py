"""What we say in POP3 replies, and in which languages (LANG, RFC 6856 §3).

Every text is a member of `Say`, its value the English one; other languages are whole tables. `{}` marks take
the arguments in order. No text begins with "[": that is where response codes stand (RFC 2449 §8).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class Say(enum.Enum):
    """One text for people."""

    READY = "{} Posthouse POP3 server ready"
    GOODBYE = "Goodbye"
    CAPABILITIES = "Capabilities follow"
    MECHANISMS = "Mechanisms follow"
    BEGIN_TLS = "Begin TLS negotiation"
    SEND_PASSWORD = "Send the password"
    MAILDROP = "{} messages ({} octets)"
    LISTING = "{} messages follow"
    OCTETS = "{} octets"
    TOP_FOLLOWS = "The top of the message follows"
    MARKED = "Message {} marked as deleted"
    NOTHING_DONE = "Nothing done"
    UTF8_ON = "UTF-8 from now on"
    LANGUAGES = "Languages follow"
    LANGUAGE_CHOSEN = "English from now on"
    REMOVED = "{} messages removed, goodbye"

    UNKNOWN_COMMAND = "Unknown command"
    OUT_OF_PLACE = "{} is not allowed now"
    ARGUMENTS_WRONG = "Wrong arguments for {}"
    LINE_TOO_LONG = "The command line is too long"
    NOT_UTF8 = "Not valid UTF-8"
    TOO_MANY_ERRORS = "Too many errors"
    NO_SUCH_MESSAGE = "There is no message {}"
    MESSAGE_MARKED = "Message {} is marked as deleted"
    MESSAGE_GONE = "Message {} was removed by another program"
    USER_FIRST = "Send the name with USER first"
    TLS_FIRST = "Start TLS with STLS first"
    LOGIN_FAILED = "Wrong name or password"
    LOGIN_LATER = "Too many failed logins, try again later"
    LOGIN_CANCELLED = "Login cancelled"
    MECHANISM_UNKNOWN = "This mechanism is not offered here"
    RESPONSE_WRONG = "The response is not valid"
    IN_USE = "The maildrop is in use by another session"
    TLS_ACTIVE = "TLS is active already"
    TLS_NOT_OFFERED = "TLS is not offered"
    TLS_AFTER_UTF8 = "STLS must come before UTF8"
    LANGUAGE_UNKNOWN = "There is no such language"
    NOT_REMOVED = "The deleted messages were not removed"
    TRY_LATER = "Not possible now, try again later"
    FAULT = "Internal fault {}"
    SHUTTING_DOWN = "The server is shutting down"
    BUSY = "Too many connections, try again later"


CHINESE: Final[Mapping[Say, str]] = {
    Say.READY: "{} Posthouse POP3 服务器就绪",
    Say.GOODBYE: "再见",
    Say.CAPABILITIES: "以下是支持的功能",
    Say.MECHANISMS: "以下是支持的认证机制",
    Say.BEGIN_TLS: "请开始 TLS 握手",
    Say.SEND_PASSWORD: "请发送密码",
    Say.MAILDROP: "{} 封邮件（{} 字节）",
    Say.LISTING: "以下是 {} 封邮件",
    Say.OCTETS: "{} 字节",
    Say.TOP_FOLLOWS: "以下是邮件的开头",
    Say.MARKED: "第 {} 封邮件已标记为删除",
    Say.NOTHING_DONE: "未执行任何操作",
    Say.UTF8_ON: "已启用 UTF-8",
    Say.LANGUAGES: "以下是支持的语言",
    Say.LANGUAGE_CHOSEN: "已切换为中文",
    Say.REMOVED: "已删除 {} 封邮件，再见",
    Say.UNKNOWN_COMMAND: "未知命令",
    Say.OUT_OF_PLACE: "现在不能使用 {}",
    Say.ARGUMENTS_WRONG: "{} 的参数不正确",
    Say.LINE_TOO_LONG: "命令行过长",
    Say.NOT_UTF8: "不是有效的 UTF-8",
    Say.TOO_MANY_ERRORS: "错误过多",
    Say.NO_SUCH_MESSAGE: "没有第 {} 封邮件",
    Say.MESSAGE_MARKED: "第 {} 封邮件已标记为删除",
    Say.MESSAGE_GONE: "第 {} 封邮件已被其他程序删除",
    Say.USER_FIRST: "请先用 USER 发送用户名",
    Say.TLS_FIRST: "请先用 STLS 启用 TLS",
    Say.LOGIN_FAILED: "用户名或密码错误",
    Say.LOGIN_LATER: "登录失败次数过多，请稍后再试",
    Say.LOGIN_CANCELLED: "登录已取消",
    Say.MECHANISM_UNKNOWN: "此处不提供该认证机制",
    Say.RESPONSE_WRONG: "响应无效",
    Say.IN_USE: "邮箱正被另一个会话使用",
    Say.TLS_ACTIVE: "TLS 已启用",
    Say.TLS_NOT_OFFERED: "不提供 TLS",
    Say.TLS_AFTER_UTF8: "STLS 必须在 UTF8 之前",
    Say.LANGUAGE_UNKNOWN: "没有这种语言",
    Say.NOT_REMOVED: "标记的邮件未能删除",
    Say.TRY_LATER: "暂时无法完成，请稍后再试",
    Say.FAULT: "内部故障 {}",
    Say.SHUTTING_DOWN: "服务器即将关闭",
    Say.BUSY: "连接过多，请稍后再试",
}

DEFAULT: Final = "en"
TEXTS: Final[Mapping[str, Mapping[Say, str]]] = {
    DEFAULT: {say: say.value for say in Say},
    "zh-CN": CHINESE,
}
NAMES: Final[Mapping[str, str]] = {DEFAULT: "English", "zh-CN": "简体中文"}
"""Language tags (RFC 5646) with their names in the language itself."""


def choose_language(wanted: str) -> str | None:
    """The language that a basic language range means (RFC 4647 §3.3.1); `*`: the server's own; None.

    No such.
    """
    if wanted == "*":
        return DEFAULT
    wanted = wanted.lower()
    return next((tag for tag in NAMES if f"{tag.lower()}-".startswith(f"{wanted}-")), None)
