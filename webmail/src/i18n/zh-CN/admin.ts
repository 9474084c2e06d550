// Words of the administration pages (src/admin).
export const admin = {
  'admin.title': '管理',
} as const
