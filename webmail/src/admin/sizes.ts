// Sizes as people write them: "2 GB", "500 MB", "1.5gb", "0". 1 kB is 1,000 octets, as everywhere in the application.
const UNITS: Record<string, number> = { '': 1, B: 1, K: 1e3, KB: 1e3, M: 1e6, MB: 1e6, G: 1e9, GB: 1e9, T: 1e12, TB: 1e12 }

/** Octets of such a text; undefined: it is none. Nothing written is 0. */
export function octetsOf(text: string): number | undefined {
  const found = /^(\d+(?:[.,]\d+)?)?\s*([a-z]*)$/i.exec(text.trim())
  const unit = UNITS[(found?.[2] ?? '?').toUpperCase()]
  if (!found || unit === undefined || (!found[1] && found[2])) return undefined
  return Math.round(Number((found[1] ?? '0').replace(',', '.')) * unit)
}

/** The shortest text that `octetsOf` reads back as the same number; nothing for 0. */
export function sizeText(octets: number): string {
  if (!octets) return ''
  for (const unit of ['TB', 'GB', 'MB', 'kB'] as const) {
    const value = octets / (UNITS[unit.toUpperCase()] as number)
    if (value >= 1 && Number.isInteger(value * 100)) return `${value} ${unit}`
  }
  return String(octets)
}
