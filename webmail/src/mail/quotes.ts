// What a message repeats of an earlier one: folded away behind a small button.
const MARKS = ['blockquote[type=cite]', '.gmail_quote', '.moz-cite-prefix + blockquote', '.yahoo_quoted', '#appendonsend', '.protonmail_quote', 'body > blockquote:last-child', 'body > div > blockquote:last-child']

/** Fold the quoted ends of a letter into <details>, which needs no script. */
export function foldQuotes(inside: Document, words: string): void {
  const found = MARKS.flatMap((mark) => [...inside.querySelectorAll(mark)])
  const outer = [...new Set(found)].filter((element) => !found.some((other) => other !== element && other.contains(element)))
  for (const element of outer) {
    if (!(inside.body.textContent ?? '').replace(element.textContent ?? '', '').trim()) continue // nothing else would be left
    const details = inside.createElement('details')
    details.className = 'quoted'
    const summary = inside.createElement('summary')
    summary.textContent = '•••'
    summary.setAttribute('aria-label', words)
    element.replaceWith(details)
    details.append(summary, element)
  }
}

export interface Piece {
  quoted: boolean
  text: string
}
/** A plain text in pieces; lines with > and what introduces them at the end are quoted. */
export function piecesOf(text: string): Piece[] {
  const lines = text.replaceAll('\r\n', '\n').trimEnd().split('\n')
  const pieces: Piece[] = []
  for (const [index, line] of lines.entries()) {
    const quoted = line.startsWith('>') || (line === '' && Boolean(pieces.at(-1)?.quoted) && Boolean(lines[index + 1]?.startsWith('>')))
    const last = pieces.at(-1)
    if (last && last.quoted === quoted) last.text += `\n${line}`
    else pieces.push({ quoted, text: line })
  }
  return pieces
}

/** Addresses of pages and people in a plain text, as links. */
export function linksIn(text: string): { text: string; href?: string }[] {
  const found = /(https?:\/\/[^\s<>"'，。；、）】》]+[^\s<>"'，。；、）】》.,;:!?)\]}]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)/gu
  const pieces: { text: string; href?: string }[] = []
  let end = 0
  for (const match of text.matchAll(found)) {
    if (match.index > end) pieces.push({ text: text.slice(end, match.index) })
    pieces.push({ text: match[0], href: match[0].includes('://') ? match[0] : `mailto:${match[0]}` })
    end = match.index + match[0].length
  }
  if (end < text.length) pieces.push({ text: text.slice(end) })
  return pieces
}
