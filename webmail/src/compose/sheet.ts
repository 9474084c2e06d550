// The style sheet of a letter that is passed on or quoted. It stands in the head of the new message, and its rules are kept to the letter:
// they must not change the looks of what is written above it.
const NAME = /\bletter-[0-9a-f]{8}\b/g

/** A letter's HTML with its style sheet kept to it. */
export function withSheet(html: string, sheet: string): { html: string; styleSheet: string } {
  if (!sheet.trim()) return { html, styleSheet: '' }
  const name = `letter-${crypto.randomUUID().slice(0, 8)}`
  const parsed = new CSSStyleSheet()
  parsed.replaceSync(sheet)
  return { html: `<div class="${name}">${html}</div>`, styleSheet: rulesIn(parsed.cssRules, `.${name}`) }
}
function rulesIn(rules: CSSRuleList, place: string): string {
  const kept = [...rules].map((rule) => {
    if (rule instanceof CSSMediaRule) return `@media ${rule.media.mediaText}{${rulesIn(rule.cssRules, place)}}`
    return rule instanceof CSSStyleRule ? `${rule.selectorText.split(',').map((selector) => within(selector, place)).join(',')}{${rule.style.cssText}}` : ''
  })
  return kept.filter(Boolean).join('\n')
}
/** A selector kept to a place, which is the letter's body. (The server lets no functions through, in which commas might stand.) */
function within(selector: string, place: string): string {
  const inside = selector.trim().replace(/^(?:(?:html|:root)(?![\w-])\s*>?\s*)?(?:body(?![\w-]))?/i, '')
  return /^$|^[.#:>+~\s]/.test(inside) && inside !== selector.trim() ? `${place}${inside}` : `${place} ${inside}`
}

/** The style sheet that a message still needs: of a letter that was taken out of the text nothing is sent. */
export function sheetFor(html: string, sheet: string | undefined): string {
  const names = sheet?.match(NAME)
  if (!sheet || sheet.includes('<') || (names && !names.some((name) => html.includes(name)))) return ''
  return sheet
}
