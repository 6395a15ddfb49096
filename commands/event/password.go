package event

import "strings"

// hidden stands for a password.
const hidden = "***"

// WithoutPasswords is a text with the passwords hidden that stand in names of images: the one of a
// user before the host of a URI, the key of rbd, and options and JSON members whose names end in
// password. Blanks may stand in passwords, and so more is hidden behind a host without a path than
// has to be, where an @ follows.
func WithoutPasswords(text string) string {
	if strings.Contains(text, "://") {
		text = withoutLogins(text)
	}
	if strings.Contains(text, ":key=") {
		text = withoutValues(text, ":key=", rbdKey)
	}
	if strings.Contains(text, "password") {
		text = withoutValues(text, "password", passwordValue)
	}
	return text
}

// withoutLogins hides what stands behind the user in each scheme://user:password@host, and in
// iscsi://user%password@host.
func withoutLogins(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "://")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		end := strings.IndexAny(rest, "/?#\"\\\t\r\n")
		if end < 0 {
			end = len(rest)
		}
		separators := ":"
		if strings.HasSuffix(before, "iscsi") {
			separators = "%:"
		}
		login := rest[:max(0, strings.LastIndexByte(rest[:end], '@'))]
		if i := strings.IndexAny(login, separators); i >= 0 && i+1 < len(login) {
			b.WriteString(login[:i+1] + hidden)
			rest = rest[len(login):]
		}
		text = rest
	}
}

// withoutValues hides what find finds behind each place of mark: a value from begin to end, which
// is empty for none.
func withoutValues(text, mark string, find func(behind string) (begin, end int)) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, mark)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(mark)
		if begin, end := find(rest); begin < end {
			b.WriteString(rest[:begin] + hidden)
			rest = rest[end:]
		}
		text = rest
	}
}

// rbdKey is up to a colon that no backslash takes as it is, or the end of the name.
func rbdKey(behind string) (begin, end int) {
	for end < len(behind) && !strings.ContainsRune(":\"' \t\r\n", rune(behind[end])) {
		if behind[end] == '\\' && end+1 < len(behind) {
			end++
		}
		end++
	}
	return 0, end
}

// passwordValue is behind =, or in quotes behind a member of JSON, of which these may be escaped.
func passwordValue(behind string) (begin, end int) {
	rest := strings.TrimPrefix(behind, `\`)
	if rest == "" || !strings.ContainsRune(`"'=`, rune(rest[0])) {
		return 0, 0
	}
	quote := behind[:len(behind)-len(rest)+1]
	if quote == "=" {
		begin = len(quote)
		end = strings.IndexAny(behind[begin:], ",&\"' \t\r\n")
	} else {
		value := strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(rest[1:], " "), ":"), " ")
		if !strings.HasPrefix(value, quote) {
			return 0, 0
		}
		begin = len(behind) - len(value) + len(quote)
		end = strings.Index(behind[begin:], quote)
	}
	if end < 0 {
		return begin, len(behind)
	}
	return begin, begin + end
}
