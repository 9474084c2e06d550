"""What IMAP replies say to people, in the language that the client chose (LANGUAGE, RFC 5255 §3).

Texts stand in English where they arise, and other languages are tables of them: a text that a table lacks is told in
English. Codes, which programs read, are the same in all languages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from posthouse.imap import encode

DEFAULT: Final = "i-default"
"""RFC 5255 §3.1: English, until the client chooses."""

CHINESE: Final[Mapping[str, str]] = {
    # how commands and connections end
    "Begin TLS negotiation now": "请开始 TLS 握手",
    "DEFLATE active": "已启用压缩",
    "Logged in": "登录成功",
    "Nobody is logged in": "已退出登录",
    "Nothing copied": "没有复制任何邮件",
    "Nothing moved": "没有移动任何邮件",
    "Logging out": "正在退出",
    "Logged out for inactivity": "长时间没有活动，连接已断开",
    "The login is not good any more": "登录已失效",
    "The server is shutting down": "服务器即将关闭",
    "What you send is not compressed by DEFLATE": "收到的数据不是 DEFLATE 压缩格式",
    "Too many commands that make no sense": "无效命令过多",
    "Too many failed logins": "登录失败次数过多",
    "None of these languages is spoken here": "没有支持这些语言",
    "The literal is too long": "数据过长",
    "The command is too long": "命令过长",
    # logging in
    "wrong name or password": "用户名或密码错误",
    "A password is taken only over TLS": "只有使用 TLS 才能用密码登录",
    "TLS is not available": "不提供 TLS",
    "TLS is active already": "TLS 已启用",
    "This mechanism is not offered here": "此处不提供该认证机制",
    "Authentication cancelled": "认证已取消",
    "The response is not base64": "响应不是 base64 编码",
    # what makes no sense here
    "Unknown command": "未知命令",
    "ENABLE QRESYNC comes first": "请先执行 ENABLE QRESYNC",
    "UTF8 is not enabled": "UTF-8 尚未启用",
    "DEFLATE is active already": "压缩已启用",
    "Only DEFLATE is known": "只支持 DEFLATE",
    "DONE expected": "应为 DONE",
    "No mailbox is selected": "没有选择邮箱",
    "No such message number": "没有这个邮件序号",
    "REPLACE takes one message": "REPLACE 一次只能替换一封邮件",
    "No JMAP server is known": "没有可用的 JMAP 服务器",
    "The identifier is empty": "标识符为空",
    "The identifier is not good text": "标识符不是有效文本",
    # mailboxes
    "No such mailbox": "没有这个邮箱",
    "The mailbox exists already": "邮箱已存在",
    "The mailbox has just been deleted": "邮箱刚刚被删除",
    "The mailbox is open for reading only": "邮箱以只读方式打开",
    "INBOX cannot be deleted": "收件箱不能删除",
    "It is no mailbox, but has mailboxes below it": "这不是邮箱，但它下面有邮箱",
    "A mailbox of the new name exists already": "新名称的邮箱已存在",
    "A mailbox below the new name exists already": "新名称下已有邮箱",
    "A mailbox cannot be moved below itself": "邮箱不能移到自身之下",
    "A mailbox cannot be moved into another's account": "邮箱不能移到他人的帐户",
    "The new name is not below a mailbox of the same owner that you see": "新名称不在同一所有者的可见邮箱之下",
    "Only the owner makes mailboxes here": "只有所有者才能在此创建邮箱",
    "Special uses are the owner's to give": "特殊用途只能由所有者指定",
    "This special use cannot be given": "不能指定这种特殊用途",
    # messages
    "Some of the messages no longer exist": "部分邮件已不存在",
    "The message has been expunged or replaced meanwhile": "邮件已被删除或替换",
    "The message is too large": "邮件过大",
    "The message does not fit into the quota": "邮件超出配额",
    "An empty message cannot be stored": "不能保存空邮件",
    "A message with NUL octets cannot be stored": "不能保存含有 NUL 字节的邮件",
    "Too many messages in one APPEND": "一次 APPEND 的邮件过多",
    "Too many pieces in one APPEND": "一次 APPEND 的片段过多",
    "Too much is to be copied by one APPEND": "一次 APPEND 要复制的内容过多",
    "The URL is too long": "URL 过长",
    "The content transfer encoding is unknown": "未知的内容传输编码",
    "BINARY is for single parts, not for multiparts or messages": "BINARY 只用于单个部分",
    "Too many different keywords": "标记种类过多",
    # searching
    "Unknown charset": "未知字符集",
    "A filter is searched for in UTF-8": "过滤条件必须使用 UTF-8",
    "Not the name of a filter": "不是过滤条件的名称",
    "The description is not in UTF-8": "说明不是 UTF-8 文本",
    "There is no relevancy without FUZZY": "没有 FUZZY 就没有相关度",
    "Too many words in a fuzzy search": "模糊搜索的词过多",
    "These are too many mailboxes for one search": "一次搜索的邮箱过多",
    "Only what is found in the selected mailbox can be saved": "只能保存当前邮箱的搜索结果",
    "Only the result of the selected mailbox is kept up to date": "只有当前邮箱的搜索结果可以持续更新",
    "The tag is that of a search whose result is kept up to date": "此标签已用于持续更新的搜索",
    "No result is kept up to date under such a tag": "此标签没有持续更新的搜索结果",
    # rights, quotas, annotations, notices
    "The rights do not allow to change these flags": "没有更改这些标记的权限",
    "The owner has every right, always": "所有者始终拥有全部权限",
    "There are no negative rights": "不支持否定权限",
    "Rights are given to single accounts, not to everybody": "权限只能授予单个帐户",
    "There is no such account in the owner's domain": "所有者的域中没有这个帐户",
    "Without l and r there are no rights; DELETEACL takes all": "没有 l 和 r 就没有任何权限；DELETEACL 可收回全部权限",
    "No such quota root": "没有这个配额根",
    "The value is too large": "值过大",
    "There are too many annotations": "注释过多",
    "Private annotations of this mailbox are its owner's": "此邮箱的私有注释只属于所有者",
    "The shared annotations of the server are set by its administrator": "服务器的共享注释由管理员设置",
    "There are too many mailboxes to watch": "要关注的邮箱过多",
    "This is more than can be watched": "超出了可关注的数量",
    "An event is not supported": "不支持某个事件",
}
_CHINESE_PATTERNS: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (re.compile(r"([A-Z ]+) completed"), r"\1 已完成"),
    (re.compile(r"Internal fault (\w+)"), r"内部故障 \1"),
    (re.compile(r"This needs the right (\w+(?: and \w+)*)"), r"需要权限 \1"),
    (re.compile(r"([A-Z ]+) is not valid when [a-z ]+"), r"当前状态下不能使用 \1"),
    (re.compile(r"An account may have at most (\d+) mailboxes"), r"每个帐户最多可有 \1 个邮箱"),
    (re.compile(r"At most (\d+) names can be subscribed"), r"最多可订阅 \1 个名称"),
    (re.compile(r"The name of an entry may have at most (\d+) octets"), r"条目名称最多 \1 个字节"),
    (re.compile(r"Nobody can be given (\w+(?: or \w+)*) here"), r"此处不能授予权限 \1"),
    (
        re.compile(r"What was asked for is given only together with (\w+(?: and \w+)*)"),
        r"所求权限必须与 \1 一同授予",
    ),
    (re.compile(r"Not a search: .* \(at octet (-?\d+)\)"), r"不是有效的搜索条件（第 \1 个字节处）"),
    (re.compile(r".* \(at octet (\d+)\)"), r"命令有语法错误（第 \1 个字节处）"),
)
OTHER_USERS: Final[Mapping[str, str]] = {"zh-CN": "其他用户/"}
"""What to show for the prefix of others' mailboxes (RFC 5255 §3.4)."""

_TEXTS: Final[Mapping[str, Mapping[str, str]]] = {"zh-CN": CHINESE}
_PATTERNS: Final[Mapping[str, Sequence[tuple[re.Pattern[str], str]]]] = {"zh-CN": _CHINESE_PATTERNS}
TAGS: Final = ("en", "zh-CN", DEFAULT)
"""Language tags (RFC 5646) of what is spoken here."""


def choose_language(ranges: Sequence[str]) -> str | None:
    """The first of the language ranges that is spoken (RFC 5255 §3.2); None: none is.

    A range is cut from its end until a tag is found (RFC 4647 §3.4): `en-CA` is served by `en`. One that a tag begins
    with means that tag (§3.3.1): `zh`.
    """
    for wanted in ranges:
        lowered = wanted.lower()
        if lowered in {"default", "*"}:
            return DEFAULT
        while lowered:
            for tag in TAGS:
                if tag.lower() == lowered:
                    return tag
            lowered = lowered.rpartition("-")[0]
        for tag in TAGS:
            if tag.lower().startswith(f"{wanted.lower()}-"):
                return tag
    return None


def say(language: str, words: str) -> bytes:
    """resp-text of a reply: in UTF-8 once another language than English was chosen (RFC 5255 §3.5)."""
    text = _TEXTS.get(language, {}).get(words)
    if text is not None:
        return text.encode("utf-8")
    for pattern, replacement in _PATTERNS.get(language, ()):
        found = pattern.fullmatch(words)
        if found is not None:
            return found.expand(replacement).encode("utf-8")
    return encode.text(words)
