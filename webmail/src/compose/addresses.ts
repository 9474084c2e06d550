// Mail addresses as people type and paste them.
import type { EmailAddress } from '../jmap/types'

const SEPARATORS = /[,;，；、\n]/
const ADDRESS = /^[^\s@<>"(),:;[\]\\]+@[^\s@<>"(),:;[\]\\.]+(\.[^\s@<>"(),:;[\]\\.]+)*$/u

/** Every address in a text: `Name <a@b>`, bare ones, several separated by commas (also Chinese ones), semicolons or lines. */
export function parseAddresses(text: string): EmailAddress[] {
  return pieces(text).map(parseAddress).filter((person) => person.email !== '')
}

export function parseAddress(text: string): EmailAddress {
  const match = /^\s*(.*?)\s*<([^<>]*)>\s*$/su.exec(text)
  if (!match) return { name: null, email: text.trim() }
  const name = (match[1] as string).replace(/^"(.*)"$/s, '$1').replace(/\\(.)/gs, '$1').trim()
  return { name: name || null, email: (match[2] as string).trim() }
}

/** Whether it has the form of an address; the server decides in the end. */
export function isAddress(text: string): boolean {
  return text.length <= 254 && ADDRESS.test(text)
}

function pieces(text: string): string[] {
  const found: string[] = []
  let piece = ''
  let quoted = false
  for (const character of text) {
    if (character === '"') quoted = !quoted
    if (!quoted && SEPARATORS.test(character)) {
      found.push(piece)
      piece = ''
    } else piece += character
  }
  return [...found, piece].filter((each) => each.trim())
}
