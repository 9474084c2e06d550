// Labels are IMAP keywords (RFC 9051 §2.3.2), which hold no spaces and few signs.

/** The keyword of a label as it is written; empty: it is none. */
export function keywordOf(label: string): string {
  return label.trim().toLowerCase().replace(/[\s(){%*"\\\]]+/g, '_')
}
