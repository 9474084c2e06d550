// Header fields of a message as text.
import type { EmailBody } from '../jmap/types'

/** A field's value, unfolded; the topmost where there are several. */
export function header(body: EmailBody, name: string): string | undefined {
  return headerAll(body, name)[0]
}
export function headerAll(body: EmailBody, name: string): string[] {
  const wanted = name.toLowerCase()
  return (body.headers ?? []).filter((field) => field.name.toLowerCase() === wanted).map((field) => field.value.replace(/\r?\n(?=[ \t])/g, '').trim())
}
