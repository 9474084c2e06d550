// Invitations: what a calendar part says, and the answer that goes back.
import { describe, expect, it } from 'vitest'
import { durationOf, folded, linesOf, momentOf } from '../src/calendar/ical'
import { invited, parseInvite, replyTo, type Invite } from '../src/calendar/invite'

const event = (...lines: string[]) => ['BEGIN:VCALENDAR', 'METHOD:REQUEST', 'BEGIN:VEVENT', 'UID:one@south.test', 'DTSTART:20261203T130000Z', ...lines, 'END:VEVENT', 'END:VCALENDAR'].join('\r\n')
const parsed = (...lines: string[]) => parseInvite(event(...lines)) as Invite

describe('a calendar part', () => {
  it('reads folded lines, quoted parameters and escaped words', () => {
    const invite = parsed('SUMMARY:Autumn\\, review\\nof all', 'LOCATION:Room', '  4', 'ORGANIZER;CN="Meier; Carol":MAILTO:carol@south.test', 'ATTENDEE;PARTSTAT=ACCEPTED;CN=Bob:mailto:bob@south.test', 'ATTENDEE:mailto:alice@north.test')
    expect([invite.title, invite.place, invite.organizer]).toEqual(['Autumn, review\nof all', 'Room 4', { name: 'Meier; Carol', email: 'carol@south.test', standing: 'NEEDS-ACTION' }])
    expect(invite.attendees.map(({ name, standing }) => [name, standing])).toEqual([['Bob', 'ACCEPTED'], ['alice@north.test', 'NEEDS-ACTION']])
    expect(invited(invite, ['ALICE@north.test'])?.email).toBe('alice@north.test')
  })
  it('takes nothing from an alarm within', () => expect(parsed('BEGIN:VALARM', 'SUMMARY:Alarm', 'ATTENDEE:mailto:x@y.test', 'END:VALARM', 'SUMMARY:Real')).toMatchObject({ title: 'Real', attendees: [] }))
  it('ends by DTEND, by DURATION, and on the last of whole days', () => {
    expect(parsed('DTEND:20261203T143000Z').end?.toISOString()).toBe('2026-12-03T14:30:00.000Z')
    expect(parsed('DURATION:PT1H30M').end?.toISOString()).toBe('2026-12-03T14:30:00.000Z')
    const days = parseInvite(event('DTEND;VALUE=DATE:20261206').replace('DTSTART:20261203T130000Z', 'DTSTART;VALUE=DATE:20261203')) as Invite
    expect([days.allDay, days.end?.getDate()]).toEqual([true, 5])
    expect((parseInvite(event('DTEND;VALUE=DATE:20261204').replace('DTSTART:20261203T130000Z', 'DTSTART;VALUE=DATE:20261203')) as Invite).end).toBeUndefined()
  })
  it('knows a change, a cancellation, and what repeats', () => {
    expect(parsed('SEQUENCE:2', 'STATUS:CANCELLED', 'RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU')).toMatchObject({ changed: true, cancelled: true, repeats: { every: 'WEEKLY', interval: 2 } })
  })
  it.each(['', 'BEGIN:VEVENT', 'END:VEVENT\nBEGIN:VEVENT', 'BEGIN:VCALENDAR\nEND:VCALENDAR'])('is none: %j', (text) => expect(parseInvite(text)).toBeUndefined())
  it.each([['PT15M', 900_000], ['P1W', 604_800_000], ['-P1DT2H', -93_600_000], ['P', 0], ['1H', undefined]])('%s lasts %s', (text, wanted) => expect(durationOf(text)).toBe(wanted))
  it.each([
    ['America/New_York', '20260308T060000', '2026-03-08T10:00'], // four hours after the clocks went forward
    ['America/New_York', '20260308T010000', '2026-03-08T06:00'],
    ['America/New_York', '20261101T060000', '2026-11-01T11:00'],
    ['Europe/Berlin', '20260329T040000', '2026-03-29T02:00'],
  ])('reads %s on the day when its clocks are changed', (zone, value, wanted) => expect(momentOf({ name: 'DTSTART', parameters: { TZID: zone }, value })?.toISOString()).toBe(`${wanted}:00.000Z`))
  it.each([
    ['China Standard Time', '20261203T090000', '2026-12-03T01:00'],
    ['W. Europe Standard Time', '20261203T090000', '2026-12-03T08:00'],
    ['W. Europe Standard Time', '20260703T090000', '2026-07-03T07:00'],
    ['W. Europe Standard Time', '20260329T040000', '2026-03-29T02:00'],
    ['W. Europe Standard Time', '20261025T040000', '2026-10-25T03:00'],
    ['Pacific Standard Time', '20260308T030000', '2026-03-08T10:00'],
    ['Pacific Standard Time', '20260307T030000', '2026-03-07T11:00'],
    ['Of its own', '20260101T000000', '2025-12-31T18:15'],
  ])('reads the zone %s as the invitation describes it', (zone, value, wanted) => {
    const half = (name: string, start: string, to: string, rule: string) => [`BEGIN:${name}`, `DTSTART:${start}`, 'TZOFFSETFROM:+0000', `TZOFFSETTO:${to}`, ...(rule ? [`RRULE:FREQ=YEARLY;${rule}`] : []), `END:${name}`]
    const described = (name: string, ...halves: string[][]) => ['BEGIN:VTIMEZONE', `TZID:${name}`, ...halves.flat(), 'END:VTIMEZONE']
    const zones = [
      ...described('China Standard Time', half('STANDARD', '16010101T000000', '+0800', '')),
      ...described('W. Europe Standard Time', half('STANDARD', '16010101T030000', '+0100', 'BYDAY=-1SU;BYMONTH=10'), half('DAYLIGHT', '16010101T020000', '+0200', 'BYDAY=-1SU;BYMONTH=3')),
      ...described('Pacific Standard Time', half('STANDARD', '16010101T020000', '-0800', 'BYDAY=1SU;BYMONTH=11'), half('DAYLIGHT', '16010101T020000', '-0700', 'BYDAY=2SU;BYMONTH=3')),
      ...described('Of its own', half('STANDARD', '20000101T000000', '+0545', '')),
    ]
    const invite = parseInvite(['BEGIN:VCALENDAR', 'METHOD:REQUEST', ...zones, 'BEGIN:VEVENT', `DTSTART;TZID="${zone}":${value}`, `DTEND;TZID="${zone}":${value}`, 'END:VEVENT', 'END:VCALENDAR'].join('\r\n'))
    expect([invite?.start?.toISOString(), invite?.end?.toISOString()]).toEqual([`${wanted}:00.000Z`, `${wanted}:00.000Z`])
  })
  it('reads a zone by its name', () => expect(momentOf({ name: 'DTSTART', parameters: { TZID: 'Asia/Shanghai' }, value: '20261203T090000' })?.toISOString()).toBe('2026-12-03T01:00:00.000Z'))
})

describe('the answer', () => {
  const answer = (...lines: string[]) => replyTo(parsed(...lines), { name: 'Lindqvist, Alice', email: 'alice@north.test' }, 'TENTATIVE', new Date('2026-11-25T18:00:00.123Z'))
  it('says who answers what to which event, and no more', () => {
    expect(answer('SEQUENCE:3', 'SUMMARY:secret', 'RECURRENCE-ID;TZID=Asia/Shanghai:20261203T090000', 'ORGANIZER;CN=Carol:mailto:carol@south.test', 'ATTENDEE:mailto:bob@south.test').split('\r\n')).toEqual([
      'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//Posthouse//Webmail//EN', 'METHOD:REPLY', 'BEGIN:VEVENT', 'UID:one@south.test', 'SEQUENCE:3', 'RECURRENCE-ID;TZID=Asia/Shanghai:20261203T090000', 'ORGANIZER;CN=Carol:mailto:carol@south.test', 'DTSTAMP:20261125T180000Z', 'ATTENDEE;PARTSTAT=TENTATIVE;CN="Lindqvist, Alice":mailto:alice@north.test', 'END:VEVENT', 'END:VCALENDAR', '',
    ])
  })
  it('folds long lines between characters and reads back the same', () => {
    const line = `SUMMARY:${'评审会'.repeat(40)}`
    const lines = folded(line).split('\r\n')
    expect(lines.every((each) => new TextEncoder().encode(each).length <= 75)).toBe(true)
    expect(linesOf(folded(line))[0]?.value).toBe(line.slice(8))
  })
  it('lets no name of a stranger break out of its line', () => {
    const made = replyTo(parsed('ORGANIZER;CN=x:mailto:carol@south.test'), { name: 'A"\r\nX:y', email: 'alice@north.test' }, 'ACCEPTED', new Date(0))
    expect(made).toContain('ATTENDEE;PARTSTAT=ACCEPTED;CN="AX:y":mailto:alice@north.test')
  })
})
