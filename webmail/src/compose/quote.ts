// Quoting: what an answer repeats of the message it answers, in HTML and in plain text (RFC 3676 §4.5: `> `).
import { fullAddress, longDate, personName } from '../design/format'
import { t } from '../i18n/index.svelte'
import type { Email, EmailBody } from '../jmap/types'

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`)
}
/** Its spaces stay as many as they are, which HTML would make one of. */
export function textToHtml(text: string): string {
  return text.replaceAll('\r\n', '\n').split('\n').map((line) => `<div>${escapeHtml(line).replace(/^ | (?= )/g, '&nbsp;') || '<br>'}</div>`).join('')
}

/**
 * HTML as the plain text of the same message: paragraphs, lists, quotes and links stay readable. `verbatim`: it was written as plain
 * text, whose spaces and tabs are meant.
 */
export function htmlToText(html: string, verbatim = false): string {
  const page = new DOMParser().parseFromString(html, 'text/html')
  const text = blockText(page.body, verbatim)
  const made = verbatim ? text.replace(/^\n+/, '') : text.replace(/[ \t]+\n/g, '\n').replace(/\n{3,}/g, '\n\n').replace(/^[ \t\n]+/, '')
  return made.trimEnd().replaceAll('\u00a0', ' ')
}
const BLOCKS = /^(DIV|P|H[1-6]|UL|OL|LI|BLOCKQUOTE|PRE|TABLE|TR|HR|SECTION|ARTICLE|HEADER|FOOTER)$/

function blockText(node: Node, verbatim: boolean): string {
  let text = ''
  const newline = () => {
    if (text && !text.endsWith('\n')) text += '\n'
  }
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) text += (child.textContent ?? '').replace(verbatim ? /\u200b/g : /(?:[^\S\u00a0]|\u200b)+/g, verbatim ? '' : ' ')
    if (!(child instanceof HTMLElement)) continue
    if (child.tagName === 'BR') text += '\n'
    else if (child.tagName === 'IMG') text += child.getAttribute('alt') ? `[${child.getAttribute('alt')}]` : ''
    else if (child.tagName === 'STYLE' || child.tagName === 'SCRIPT') continue
    else if (BLOCKS.test(child.tagName)) {
      newline()
      text += inBlock(child, verbatim)
      newline()
    } else if (child.tagName === 'A') {
      const words = blockText(child, verbatim)
      const href = child.getAttribute('href') ?? ''
      text += /^https?:/.test(href) && !words.includes(href.replace(/^https?:\/\/|\/$/g, '')) ? `${words} <${href}>` : words
    } else text += blockText(child, verbatim)
  }
  return text
}
function inBlock(element: HTMLElement, verbatim: boolean): string {
  if (element.tagName === 'PRE') return element.textContent ?? ''
  if (element.tagName === 'HR') return '-----'
  const inside = blockText(element, verbatim).replace(/^\n+|\n+$/g, '')
  if (element.tagName === 'LI') return `${element.parentElement?.tagName === 'OL' ? `${[...element.parentElement.children].indexOf(element) + 1}.` : '-'} ${inside.replaceAll('\n', '\n  ')}`
  if (element.tagName === 'BLOCKQUOTE') return inside.split('\n').map((line) => (line.startsWith('>') ? `>${line}` : `> ${line}`)).join('\n')
  return inside
}

/** What stands above a quotation: who wrote it, and when. */
export function introduction(email: Email): string {
  const from = email.from?.[0]
  return t('compose.wrote', { date: longDate(email.sentAt ?? email.receivedAt), name: from ? personName(from) : '' })
}
export function quoted(email: Email, html: string): string {
  return `<div><br></div><div>${escapeHtml(introduction(email))}</div><blockquote type="cite">${html}</blockquote>`
}
export function forwarded(email: Email, body: EmailBody, html: string): string {
  const rows = [
    [t('read.from'), email.from?.map(fullAddress).join(', ')],
    [t('read.date'), longDate(email.sentAt ?? email.receivedAt)],
    [t('compose.subject'), email.subject],
    [t('compose.to'), email.to?.map(fullAddress).join(', ')],
    [t('read.cc'), body.cc?.map(fullAddress).join(', ')],
  ].filter((row): row is [string, string] => Boolean(row[1]))
  const lines = rows.map(([name, value]) => `<div><b>${escapeHtml(name)}:</b> ${escapeHtml(value)}</div>`).join('')
  return `<div><br></div><div>---------- ${escapeHtml(t('compose.forwarded'))} ----------</div>${lines}<div><br></div>${html}`
}

const PREFIX = /^(?:\s*(?:re|fwd?|aw|wg|sv|antw|回复|答复|转发)\s*(?:\[\d+\]\s*)?[:：])+\s*/i
/** The subject of an answer: one prefix, whatever stood there before. */
export function answerSubject(subject: string | null, prefix: string): string {
  return prefix + (subject ?? '').replace(PREFIX, '')
}
const SPOKEN = /\b(attach(?:ed|ing|ment|ments)?|enclosed|see the file)\b|附件|附上|随信附|见附/i
/** Whether the text, without what it quotes, speaks of an attachment. */
export function speaksOfAttachment(text: string): boolean {
  const own = text.split('\n').filter((line) => !line.startsWith('>')).join('\n')
  const end = own.search(/^-{5,} /m)
  return SPOKEN.test(end >= 0 ? own.slice(0, end) : own)
}
