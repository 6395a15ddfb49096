package fio

import "sync"

// lazy is a value that is made when it is first asked for. Unlike sync.OnceValue it is data, and
// costs a program that never asks nothing.
type lazy[T any] struct {
	make  func() T
	once  sync.Once
	value T
}

func (l *lazy[T]) get() T {
	l.once.Do(func() { l.value = l.make() })
	return l.value
}
