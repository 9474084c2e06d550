// Rights to a folder as one gives them: three levels instead of eight switches (RFC 8621 §2, RFC 9670 §4).
import type { Rights } from '../jmap/types'

const READ = ['mayReadItems']
const WORK = [...READ, 'maySetSeen', 'maySetKeywords', 'mayAddItems', 'mayRemoveItems']
const ALL = [...WORK, 'mayCreateChild', 'mayRename', 'mayDelete']
const LEVELS = { read: READ, work: WORK, all: ALL } as const

export type Level = keyof typeof LEVELS
export const EVERY_LEVEL = Object.keys(LEVELS) as Level[]

export function rightsOf(level: Level): Rights {
  return Object.fromEntries(LEVELS[level].map((right) => [right, true]))
}
/** The level of some rights; undefined: they were put together elsewhere. */
export function levelOf(rights: Rights): Level | undefined {
  const given = Object.keys(rights).filter((right) => rights[right])
  return EVERY_LEVEL.find((level) => LEVELS[level].length === given.length && LEVELS[level].every((right) => given.includes(right)))
}
