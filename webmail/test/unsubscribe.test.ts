// The ways out of a list that a message names.
import { describe, expect, it } from 'vitest'
import type { EmailBody } from '../src/jmap/types'
import { canUnsubscribe, waysOut } from '../src/mail/ways-out'

const ways = (value: string, post = '') => waysOut({ headers: [{ name: 'list-unsubscribe', value }, ...(post ? [{ name: 'List-Unsubscribe-Post', value: post }] : [])] } as EmailBody)
const ONE_CLICK = 'List-Unsubscribe=One-Click'

describe('ways out of a list', () => {
  it('reads addresses of both kinds, folded or not', () => {
    expect(ways('<mailto:leave@list.test?subject=x>,\r\n\t<https://list.test/\r\n leave>', ` ${ONE_CLICK}`)).toEqual({ oneClick: true, letter: 'mailto:leave@list.test?subject=x', page: 'https://list.test/leave' })
  })
  it.each([
    ['<http://list.test/leave>', ONE_CLICK], // RFC 8058 §3.1: HTTPS only
    ['<mailto:leave@list.test>', ONE_CLICK],
    ['<https://list.test/leave>', ''],
    ['<https://list.test/leave>', 'One-Click'],
  ])('%s with %j is not left at once', (value, post) => expect(ways(value, post).oneClick).toBe(false))
  it.each(['', 'https://list.test', '<javascript:alert(1)>', '<http://list.test>', '<mailto:>', '<data:x>'])('%j is no way', (value) => expect(canUnsubscribe({ headers: [{ name: 'List-Unsubscribe', value }] } as EmailBody)).toBe(false))
})
