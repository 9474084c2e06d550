// Words in two languages. A key is typed by the English files; the Chinese ones must have the same keys (test/words.test.ts).
// A text may hold {name} places, and `one|many` forms chosen by {n}.
import { en, type Key } from './en'

export type { Key }
export type Locale = 'en' | 'zh-CN'
export const LOCALES: readonly { code: Locale; name: string }[] = [
  { code: 'en', name: 'English' },
  { code: 'zh-CN', name: '简体中文' },
]

const CHOICE = 'posthouse.locale'
const state = $state<{ locale: Locale; words: Record<Key, string> }>({ locale: 'en', words: en })

/** The language in use. Reading it in a component makes that component follow a change. */
export function locale(): Locale {
  return state.locale
}

/** The words of `key`, with `values` in their places. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return fill(state.words[key] ?? en[key] ?? key, values)
}

/** The words of a name that comes from the server and may be newer than this page: then the name itself. */
export function tName(prefix: string, name: string): string {
  const key = `${prefix}.${name}` as Key
  return key in en ? t(key) : name
}

/** `one|many` by n, then {name} replaced; a place without a value stays as it is, so that a mistake shows. */
export function fill(text: string, values: Record<string, string | number>): string {
  const forms = text.split('|')
  const form = forms.length > 1 && values['n'] !== 1 ? (forms[1] as string) : (forms[0] as string)
  return form.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = values[name]
    return value === undefined ? place : typeof value === 'number' ? value.toLocaleString(state.locale) : value
  })
}

/** What the reader chose before, else the sign-in page's choice, else the browser's wish. */
export function preferredLocale(): Locale {
  const signedIn = /(?:^|; )posthouse-locale=([\w-]+)/.exec(document.cookie)?.[1]
  const wish = localStorage.getItem(CHOICE) ?? signedIn ?? navigator.languages.find((name) => /^(en|zh)\b/i.test(name)) ?? 'en'
  return /^zh/i.test(wish) ? 'zh-CN' : 'en'
}

/** Load the words of `locale` and use them from now on. */
export async function useLocale(locale: Locale, { remember = false } = {}): Promise<void> {
  const words = locale === 'en' ? en : (await import('./zh-CN')).zhCN
  state.words = words
  state.locale = locale
  document.documentElement.lang = locale
  if (remember) localStorage.setItem(CHOICE, locale)
}
