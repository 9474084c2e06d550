// A rule that is being made or changed: whatever page asks for it, the shell shows the window.
import { mail } from '../store/mail.svelte'
import type { Rule } from './rules'

export const SIEVE = 'urn:ietf:params:jmap:sieve'
export interface Making {
  rule: Rule
  /** Which of the rules it takes the place of; none: it is a new one. */
  at?: number
}
let open = $state.raw<Making>()

export function beingMade(): Making | undefined {
  return open
}
export function make(rule: Rule, at?: number): void {
  open = at === undefined ? { rule } : { rule, at }
}
export function leave(): void {
  open = undefined
}

/** Extensions that the server has. */
export function extensions(): readonly string[] {
  const able = mail.client.session.accounts[mail.client.accountId]?.accountCapabilities[SIEVE]?.['sieveExtensions']
  return Array.isArray(able) ? (able as string[]) : []
}
