// What a message repeats of an earlier one: folded away behind a small button.
const MARKS = ['blockquote[type=cite]', '.gmail_quote', '.moz-cite-prefix + blockquote', '.yahoo_quoted', '#appendonsend', '.protonmail_quote', 'body > blockquote:last-child', 'body > div > blockquote:last-child']

const ANY_MARK = MARKS.join()
/** Nobody folds, or follows, more by hand; a letter made to be slow is shown without. */
const MOST_FOLDS = 200
const MOST_PIECES = 1_000
const MOST_LINKS = 1_000

/** Fold the quoted ends of a letter into <details>, which needs no script. */
export function foldQuotes(inside: Document, words: string): void {
  const outer = [...inside.querySelectorAll(ANY_MARK)].filter((element) => !element.parentElement?.closest(ANY_MARK))
  const octets = (element: Element) => (element.textContent ?? '').replace(/\s/g, '').length
  const whole = octets(inside.body)
  for (const element of outer.slice(0, MOST_FOLDS)) {
    if (octets(element) === whole) continue // nothing else would be left
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
    if (last && (last.quoted === quoted || pieces.length >= MOST_PIECES)) last.text += `\n${line}`
    else pieces.push({ quoted, text: line })
  }
  return pieces
}

/** Addresses of pages and people in a plain text, as links. */
export function linksIn(text: string): { text: string; href?: string }[] {
  // An address begins where no such character stands before: else each of a long word would be tried as its beginning.
  const found = /(https?:\/\/[^\s<>"'，。；、）】》]+[^\s<>"'，。；、）】》.,;:!?)\]}]|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+)/gu
  const pieces: { text: string; href?: string }[] = []
  let end = 0
  for (const match of text.matchAll(found)) {
    if (pieces.length >= 2 * MOST_LINKS) break
    if (match.index > end) pieces.push({ text: text.slice(end, match.index) })
    pieces.push({ text: match[0], href: match[0].includes('://') ? match[0] : `mailto:${match[0]}` })
    end = match.index + match[0].length
  }
  if (end < text.length) pieces.push({ text: text.slice(end) })
  return pieces
}
