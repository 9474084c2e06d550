// Rules in the reader's words: for the list of rules, and as the name of one that has none.
import { longDay } from '../design/format'
import { t, type Key } from '../i18n/index.svelte'
import { labelName } from '../mail/conversation'
import { shownFolder } from './places'
import { wantsValue, type Action, type Condition, type Op, type Rule } from './rules'

export function opName(op: Op, not: boolean): string {
  return t(`filter.op.${not ? 'not-' : ''}${op}` as Key)
}
/** What a message must be like. */
export function whenSaid(rule: Rule): string {
  if (rule.match === 'every') return t('filter.every')
  return rule.conditions.map(conditionSaid).join(t(rule.match === 'all' ? 'filter.and' : 'filter.or'))
}
function conditionSaid({ field, op, not, value, header }: Condition): string {
  const name = field === 'header' ? header : t(`filter.field.${field}`)
  const places = { field: name, op: opName(op, not) }
  return wantsValue(op) ? t('filter.said', { ...places, value: valueSaid(field, value) }) : t('filter.said-bare', places)
}
function valueSaid(field: Condition['field'], value: string): string {
  if (field === 'size') return value.replace(/\s*([KM])$/, ' $1B') // as it was written: K is 1024 in Sieve
  return field === 'date' ? longDay(new Date(`${value}T00:00`)) : t('filter.quoted', { value })
}
/** What is done with it. */
export function thenSaid(rule: Rule): string {
  const done = rule.actions.map(actionSaid)
  return done.length ? done.join(t('filter.then')) : t('filter.action.none')
}
function actionSaid(action: Action): string {
  const name = t(`filter.action.${action.kind}`)
  if (action.kind === 'move' || action.kind === 'copy') return t('filter.does', { action: name, what: shownFolder(action.folder) })
  if (action.kind === 'label') return t('filter.does', { action: name, what: labelName(action.keyword) })
  return 'address' in action ? t('filter.does', { action: name, what: action.address }) : name
}
/** What a rule is called. */
export function nameOf(rule: Rule): string {
  return rule.name || whenSaid(rule)
}
