// The server's checks speak English; what they say is known here by its patterns (i18n/en/said.ts) and said in the reader's
// language. What is not known stays as it came: records, addresses, the words of others.
import { en } from '../i18n/en'
import { t, type Key } from '../i18n/index.svelte'

interface Pattern {
  key: Key
  test: RegExp
}
const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
const PATTERNS: Pattern[] = Object.entries(en)
  .filter(([key]) => key.startsWith('said.'))
  .sort(([, one], [, other]) => other.replace(/\{\w+\}/g, '').length - one.replace(/\{\w+\}/g, '').length)
  .map(([key, text]) => ({ key: key as Key, test: new RegExp(`^${literal(text).replace(/\\\{(\w+)\\\}/g, '(?<$1>.+)')}$`) }))

/** A text of the server's in the reader's language. */
export function inReadersWords(text: string): string {
  for (const { key, test } of PATTERNS) {
    const found = test.exec(text)
    if (found) return t(key, { ...found.groups })
  }
  return text
}
