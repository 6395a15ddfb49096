package event

import "testing"

func TestWithoutPasswords(t *testing.T) {
	for in, want := range map[string]string{
		"http://user:geheim@host:80/a?b#c":           "http://user:***@host:80/a?b#c",
		"can't open nbd://u:geheim@h: refused":       "can't open nbd://u:***@h: refused",
		"http://u:ge@heim@h and ftp://v:geheim@h/":   "http://u:***@h and ftp://v:***@h/",
		"https://u:gehe%2Fim@[::1]:8/":               "https://u:***@[::1]:8/",
		"https://u:a:geheim@h":                       "https://u:***@h",
		"https://:geheim@h":                          "https://:***@h",
		"iscsi://u%geheim@h/t/0":                     "iscsi://u%***@h/t/0",
		"http://u%40h@h/":                            "http://u%40h@h/",
		"http://user@host:80/":                       "http://user@host:80/",
		"http://user:@host/":                         "http://user:@host/",
		"http://host:80/a:b@c":                       "http://host:80/a:b@c",
		"http://me:ge heim@h/":                       "http://me:***@h/",
		"iscsi://me%ge, heim@h/":                     "iscsi://me%***@h/",
		"http://host?a:b@c":                          "http://host?a:b@c",
		"rbd:pool/img@s:id=me:key=ge\\:heim==:mon=a": "rbd:pool/img@s:id=me:key=***:mon=a",
		"rbd:pool/img:key=geheim: no such pool":      "rbd:pool/img:key=***: no such pool",
		`rbd:pool/img:key=ge\`:                       `rbd:pool/img:key=***`,
		"driver=x,password=geheim,a=b":               "driver=x,password=***,a=b",
		"proxy-password=geheim":                      "proxy-password=***",
		"password-secret=id,a=b":                     "password-secret=id,a=b",
		"the password is wrong: password: no":        "the password is wrong: password: no",
		`json:{"password":"geheim","a":"b"}`:         `json:{"password":"***","a":"b"}`,
		`json:{'password' : 'geheim'}`:               `json:{'password' : '***'}`,
		`{"path":"json:{\"password\":\"geheim\"}"}`:  `{"path":"json:{\"password\":\"***\"}"}`,
		`json:{"url":"http://u:geheim@h","x":"a@b"}`: `json:{"url":"http://u:***@h","x":"a@b"}`,
		`json:{"url":"http://host","x":"a@b"}`:       `json:{"url":"http://host","x":"a@b"}`,
		`{"password":null}`:                          `{"password":null}`,
		"password":                                   "password",
		"password=":                                  "password=",
		`"password":"`:                               `"password":"`,
		"a://":                                       "a://",
		"://u:geheim@":                               "://u:***@",
	} {
		if got := WithoutPasswords(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
