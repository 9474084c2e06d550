// Printing one message: a copy in a frame of its own, with who, when and what above it.
import { fullAddress, longDate } from '../design/format'
import { t } from '../i18n/index.svelte'
import type { Email, EmailBody } from '../jmap/types'
import type { SafeHtml } from '../store/cache'
import { fragment, textOf } from './bodies'

export function printMessage(email: Email, body: EmailBody, letter: SafeHtml | undefined): void {
  const frame = document.createElement('iframe')
  frame.src = '/mail/frame'
  frame.setAttribute('sandbox', 'allow-same-origin allow-modals')
  frame.className = 'sr-only'
  frame.onload = () => {
    const inside = frame.contentDocument
    if (!inside) return frame.remove()
    inside.title = email.subject ?? ''
    const heading = inside.createElement('h1')
    heading.textContent = email.subject ?? t('list.no-subject')
    const facts = inside.createElement('p')
    const lines = [email.from?.map(fullAddress).join(', '), `${t('read.to')} ${email.to?.map(fullAddress).join(', ') ?? ''}`, longDate(email.sentAt ?? email.receivedAt)]
    for (const line of lines) facts.append(line ?? '', inside.createElement('br'))
    const text = inside.createElement('pre')
    text.textContent = letter ? '' : textOf(body)
    const style = inside.createElement('style')
    style.textContent = 'body{font:12pt/1.5 serif} h1{font-size:16pt} p{border-bottom:1px solid;padding-bottom:8px} pre{white-space:pre-wrap;font:inherit} img{max-width:100%}'
    const theirs = inside.createElement('style')
    theirs.textContent = letter?.styleSheet ?? ''
    inside.head.append(style, theirs)
    inside.body.replaceChildren(heading, facts, letter ? inside.importNode(fragment(letter, body, false), true) : text)
    frame.contentWindow?.addEventListener('afterprint', () => frame.remove())
    frame.contentWindow?.print()
  }
  document.body.append(frame)
}
